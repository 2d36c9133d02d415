/** How every page looks and reads: on a desk and on a phone, light and underground, to eyes and to programs that read aloud. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addDeadLetter, fillSite, OPERATOR, stirCopies } from '../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'
import { CHROMIUM, DESKTOP, openTab, PHONE, type Served, serveSite, startBrowser, takePicture, useTheme, WITHOUT } from './browser.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const PAGES = {
  now: '/',
  runs: '/runs',
  'runs-filtered':
    '/runs?tag=LNGS&cloud=present&param.GEM1_V.gte=400&column=start&column=state&column=tape&column=GEM1_V&column=exposure_sec',
  'runs-wrong': '/runs?from=abc',
  run: '/runs/LNGS/60019',
  replicas: '/replicas',
  queues: '/queues',
} as const
const THEMES = ['light', 'underground'] as const
const SIZES = { desk: DESKTOP, phone: PHONE } as const

let context: TestTapeContext
let site: Served
let browser: Browser

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'look', () => {
  beforeAll(async () => {
    context = await startTestTapeContext()
    await fillSite(context)
    await stirCopies(context)
    await addDeadLetter(context, { bucket: 'cygno-data', key: 'LNGS/run60017.mid.gz' })
    site = await serveSite(context, () => OPERATOR)
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
    await context?.close()
  })

  const cases = Object.entries(PAGES).flatMap(([name, path]) =>
    THEMES.flatMap((theme) => Object.entries(SIZES).map(([size, viewport]) => ({ name, path, theme, size, viewport }))),
  )

  test.each(cases)('$name, $theme, $size: nothing serious for axe, nothing refused by the policy, no sideways scrolling', async (look) => {
    const tab = await openTab(browser, site.origin, { viewport: look.viewport })
    await useTheme(tab, site.origin, look.theme)
    const page = await tab.newPage()
    const complaints: string[] = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(look.path)
    await page.waitForLoadState('load')
    // The line of time that is drawn last.
    if (look.name === 'replicas') await page.waitForSelector('.u-over')
    await takePicture(page, `${look.name}-${look.theme}-${look.size}`)
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    expect(wide).toBe(0)
    expect(complaints.filter((text) => !text.includes('400 (Bad Request)'))).toEqual([])
    await tab.close()
    expect(await findingsOf(look)).toEqual([])
  })

  /** Serious and critical ones. axe is put into the page past its policy, which the look above has kept. */
  async function findingsOf({ path, theme, viewport }: (typeof cases)[number]): Promise<readonly string[]> {
    const tab = await openTab(browser, site.origin, { viewport, bypassCSP: true })
    await useTheme(tab, site.origin, theme)
    const page = await tab.newPage()
    await page.goto(path)
    await page.addScriptTag({ content: AXE })
    const { violations } = (await page.evaluate('axe.run()')) as AxeResults
    await tab.close()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${String(target)} ${failureSummary ?? ''}`))
  }

  test('nothing moves for who asked for that', async () => {
    const moving = async (reducedMotion: 'reduce' | 'no-preference') => {
      const tab = await openTab(browser, site.origin, { reducedMotion })
      const page = await tab.newPage()
      await page.goto('/')
      const count = await page.evaluate<number>('document.getAnimations().length')
      await tab.close()
      return count
    }
    expect(await moving('no-preference')).toBeGreaterThan(0)
    expect(await moving('reduce')).toBe(0)
  })
})
