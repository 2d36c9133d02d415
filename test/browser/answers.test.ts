/** What a shifter sees on a phone without touching it, and that nothing moves while a page loads. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addCopiesInAllStates, fillSite } from '../support/site.ts'
import { seriousFindings } from './axe.ts'
import {
  CHROMIUM,
  type OpenSite,
  openSite,
  openTab,
  PHONE,
  type Served,
  sideways,
  useTheme,
  WITHOUT,
} from './browser.ts'

let site: Served
let browser: Browser
let opened: OpenSite

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'answers first', () => {
  beforeAll(async () => {
    opened = await openSite(async (filled) => {
      await fillSite(filled)
      await addCopiesInAllStates(filled)
    })
    ;({ site, browser } = opened)
  })
  afterAll(() => opened?.close())

  async function onPhone(path: string): Promise<Page> {
    const tab = await openTab(browser, site.origin, { viewport: PHONE })
    const page = await tab.newPage()
    await page.goto(path)
    return page
  }
  const bottomOf = async (page: Page, selector: string) => {
    const box = await page.locator(selector).first().boundingBox()
    return box === null ? Number.POSITIVE_INFINITY : box.y + box.height
  }
  const heightOf = (page: Page) => page.evaluate<number>('document.documentElement.scrollHeight')

  test('the first screen of a run on a phone has its number, verdict, problem and links', async () => {
    const page = await onPhone('/runs/LNGS/60017')
    for (const selector of [
      'h1',
      '.verdict',
      '.verdict .reason',
      'button:has-text("Get links")',
      '.snippets',
    ])
      expect(await bottomOf(page, selector)).toBeLessThan(PHONE.height)
    expect(await page.textContent('.verdict')).toContain('507 Insufficient Storage (attempt 4)')
    expect(await heightOf(page)).toBeLessThan(4 * PHONE.height)
    await page.context().close()
  })

  test('the first screen of Now on a phone has a sentence for each site', async () => {
    const page = await onPhone('/')
    expect(await page.locator('.sentences li').count()).toBe(3)
    expect(await bottomOf(page, '.sentences')).toBeLessThan(PHONE.height)
    await page.context().close()
  })

  test('rows become cards on a phone: every cell has its head, and nothing leaves the screen', async () => {
    const page = await onPhone('/replicas')
    const cell = page.locator('.frame.cards td[data-head="Volume on tape"]').first()
    const { width = 0 } = (await cell.boundingBox()) ?? {}
    expect(width).toBeGreaterThan(PHONE.width / 2)
    const head = `getComputedStyle(document.querySelector('td[data-head="Volume on tape"]'), '::before').content`
    expect(await page.evaluate(head)).toBe('"Volume on tape"')
    await page.context().close()
  })

  test.each(['light', 'underground'] as const)(
    'everything that is folded opens by a tap, in %s',
    async (theme) => {
      const tab = await openTab(browser, site.origin, { viewport: PHONE })
      await useTheme(tab, site.origin, theme)
      const page = await tab.newPage()
      await page.goto('/runs/LNGS/60017')
      for (const name of [
        'Get by command',
        'All parameters',
        'MIDAS events and banks',
        'Files and checksums',
      ])
        await page.click(`summary:has-text("${name}")`)
      await page.click('.copies summary >> nth=0')
      await page.click('.timeline summary >> nth=0')
      expect(await page.isVisible('#banks')).toBe(true)
      expect(await page.isVisible('.sums dd')).toBe(true)
      expect(await page.isVisible('code:text-is("GEM1_V")')).toBe(true)
      expect(await sideways(page)).toBe(0)
      expect(await seriousFindings(page)).toEqual([])
      await tab.close()
    },
  )

  test.each(['/', '/runs/LNGS/60017', '/replicas', '/queues'])(
    '%s does not shift while it loads',
    async (path) => {
      const tab = await openTab(browser, site.origin)
      await tab.addInitScript(`window.shift = 0
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value
      }).observe({ type: 'layout-shift', buffered: true })`)
      const page = await tab.newPage()
      await page.goto(path)
      await page.waitForSelector('.live.on')
      expect(await page.evaluate<number>('window.shift')).toBeLessThan(0.01)
      await tab.close()
    },
  )
})
