/** What people do with the pages: by keyboard alone, without scripts, and while runs arrive. */
import { readFile } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addCopiesInAllStates, addDeadLetter, fillSite, makeRun, OPERATOR } from '../support/site.ts'
import type { TestTapeContext } from '../support/tape-context.ts'
import {
  CHROMIUM,
  type OpenSite,
  openSite,
  openTab,
  type Served,
  serveSite,
  takePicture,
  WITHOUT,
} from './browser.ts'
import { focused, tabTo } from './keyboard.ts'

let context: TestTapeContext
let site: Served
let browser: Browser
let opened: OpenSite

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'flows', () => {
  beforeAll(async () => {
    opened = await openSite(async (filled) => {
      await fillSite(filled)
      await addCopiesInAllStates(filled)
    })
    ;({ context, site, browser } = opened)
  })
  afterAll(() => opened?.close())

  test('by keyboard alone: past the navigation, to a run, to its link, and the bytes are those', async () => {
    const { md5 } = await context.putRun('LNGS/run00042.mid.gz', 'the bytes of run 42')
    const tab = await openTab(browser, site.origin)
    const page = await tab.newPage()
    await page.goto('/')
    await page.keyboard.press('Tab')
    expect((await focused(page)).text).toBe('Skip to the content')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('content')
    await page.goto('/')
    await tabTo(page, { text: 'Runs' })
    await page.keyboard.press('Enter')
    await page.waitForURL('**/runs')
    await tabTo(page, { name: 'from' })
    await page.keyboard.type('42')
    await tabTo(page, { name: 'to' })
    await page.keyboard.type('42')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/runs?from=42&to=42')
    await tabTo(page, { text: 'Choose run 42 of LNGS' })
    await page.keyboard.press('Space')
    expect(await page.textContent('[data-chosen]')).toBe('1 chosen')
    await tabTo(page, { text: 'Links to the chosen runs' })
    await page.keyboard.press('Enter')
    await page.waitForURL('**/runs/links')
    await takePicture(page, 'links-light-desk')
    expect(await page.textContent('main')).toContain(md5)
    const arrived = page.waitForEvent('download')
    await tabTo(page, { text: 'run00042.mid.gz' })
    await page.keyboard.press('Enter')
    const download = await arrived
    expect(download.suggestedFilename()).toBe('run00042.mid.gz')
    expect(await readFile(await download.path(), 'utf8')).toBe('the bytes of run 42')
    await tab.close()
  })

  test('without scripts: filter, columns, next page, theme, links and retry all work', async () => {
    await addDeadLetter(context, { bucket: 'cygno-data', key: 'LNGS/run60017.mid.gz' })
    const tab = await openTab(browser, site.origin, { javaScriptEnabled: false })
    const page = await tab.newPage()
    await page.goto('/runs')
    await page.selectOption('select[name="tag"]', 'LNGS')
    await page.click('summary:has-text("More filters")')
    await page.selectOption('select[name="parameter"]', 'GEM1_V')
    await page.selectOption('select[name="operator"]', 'gte')
    await page.fill('input[name="value"]', '440')
    await page.click('text="Columns"')
    await page.check('input[value="GEM1_V"]')
    await page.click('button:has-text("Show")')
    expect(new URL(page.url()).search).toMatch(/^\?tag=LNGS&.*column=GEM1_V&param\.GEM1_V\.gte=440$/)
    expect(await page.textContent('caption')).toBe('20 runs')
    await page.click('button:has-text("Underground")')
    expect(await page.getAttribute('html', 'data-theme')).toBe('underground')
    expect(new URL(page.url()).search).toContain('param.GEM1_V.gte=440')
    await page.click('a[aria-label="Without GEM 1 voltage ≥ 440 V"]')
    expect(page.url()).not.toContain('param.')
    await page.check('input[aria-label="Choose run 60020 of LNGS"]')
    await page.click('button:has-text("Links to the chosen runs")')
    expect(await page.textContent('h1')).toBe('Links')
    await page.goto('/queues')
    await page.click('button[aria-label="Retry cygno-data/LNGS/run60017.mid.gz"]')
    expect(await page.textContent('.notice')).toContain('1 dead letter was sent back')
    expect(await context.drain('tape-requests')).toHaveLength(1)
    await tab.close()
  })

  test('a run arrives, and Now shows it by itself; the focus and what is open stay', async () => {
    const tab = await openTab(browser, site.origin)
    const page = await tab.newPage()
    await page.goto('/')
    await page.waitForSelector('.live.on')
    await page.focus('a:text-is("60020")')
    await makeRun(context, { tag: 'LNGS', runNumber: 60_021, ago: 20 })
    await page.waitForSelector('a.run:has-text("60021")')
    expect(await page.textContent('[data-live-status]')).toMatch(/run 60021 of LNGS: /)
    await page.focus('a:text-is("7012")')
    await makeRun(context, { tag: 'LNGS', runNumber: 60_022, ago: 10 })
    await page.waitForSelector('a.run:has-text("60022")')
    expect((await focused(page)).text).toContain('7012')
    await tab.close()
  })

  test('when a run arrives while the table is being read, the table stays and reports a change', async () => {
    const tab = await openTab(browser, site.origin)
    const page = await tab.newPage()
    await page.goto('/runs?tag=LNF')
    await page.waitForSelector('.live.on')
    await makeRun(context, { tag: 'LNF', runNumber: 7013, ago: 20 })
    await page.waitForSelector('[data-live-status] a')
    expect(await page.textContent('caption')).toBe('12 runs')
    await page.click('[data-live-status] a')
    await page.waitForSelector('caption:has-text("13 runs")')
    await tab.close()
  })

  test('the page of a run follows what happens to it, and to no other', async () => {
    const tab = await openTab(browser, site.origin)
    const page = await tab.newPage()
    await page.goto('/runs/LNGS/60020')
    await page.waitForSelector('.live.on')
    const { database } = context
    const [run] = await database
      .selectFrom('runs')
      .select('id')
      .where('tag', '=', 'LNGS')
      .where('runNumber', '=', 60_020)
      .execute()
    await makeRun(context, { tag: 'LNGS', runNumber: 60_030, ago: 5 })
    await database
      .insertInto('runHistory')
      .values({ runId: run?.id ?? 0, at: new Date(), what: 'copied to tape', detail: 'by a test' })
      .execute()
    await page.waitForSelector('.timeline strong:has-text("copied to tape")')
    expect(await page.textContent('[data-live-status]')).toBe('run 60020 of LNGS: copied to tape')
    await tab.close()
  })

  test('the page of a run that is not in the catalogue becomes that of the run once it is; what copies, copies all the while', async () => {
    const tab = await openTab(browser, site.origin, { permissions: ['clipboard-read', 'clipboard-write'] })
    const page = await tab.newPage()
    await page.goto('/runs/LNGS/60035')
    await page.waitForSelector('.live.on')
    expect(await page.textContent('main')).toContain('no file of this run has been reported')
    await makeRun(context, { tag: 'LNGS', runNumber: 60_035, ago: 5 })
    await page.waitForSelector('h2:has-text("What it is")')
    expect(await page.title()).toBe('Run 60035 of LNGS · Cygnet')
    await page.waitForSelector('.live.on')
    await page.click('summary:has-text("Get by command")')
    await page.evaluate(
      "document.querySelector('[data-live]').append(Object.assign(document.createElement('i'), { id: 'before' }))",
    )
    const { database } = context
    const run = await database
      .selectFrom('runs')
      .select('id')
      .where('runNumber', '=', 60_035)
      .executeTakeFirstOrThrow()
    await database
      .insertInto('runHistory')
      .values({ runId: run.id, at: new Date(), what: 'looked at', detail: '' })
      .execute()
    await page.waitForSelector('#before', { state: 'detached' })
    await page.click('button[data-copy="as-curl"]')
    await page.waitForSelector('button[data-copy="as-curl"]:has-text("Copied")')
    expect(await page.evaluate('navigator.clipboard.readText()')).toContain('/api/v1/runs/LNGS/60035/links')
    await tab.close()
  })

  test('from a filtered table to its links, and back to it', async () => {
    const tab = await openTab(browser, site.origin)
    const page = await tab.newPage()
    await page.goto('/runs?tag=LNGS&sort=run')
    await page.check('input[aria-label="Choose run 60001 of LNGS"]')
    await page.click('button:has-text("Links to the chosen runs")')
    await page.click('a:text-is("Back to the runs")')
    await page.waitForURL('**/runs?tag=LNGS&sort=run')
    await tab.close()
  })

  test('the stream of events comes again after it ended, and misses nothing', async () => {
    const brief = await serveSite(context, () => OPERATOR, { live: { lastsSeconds: 0.5, pollMs: 50 } })
    const tab = await openTab(browser, brief.origin)
    const page = await tab.newPage()
    await page.goto('/')
    await page.waitForSelector('.live.on')
    await page.waitForSelector('.live:not(.on)')
    await makeRun(context, { tag: 'LNGS', runNumber: 60_040, ago: 5 })
    await page.waitForSelector('a.run:has-text("60040")')
    await tab.close()
    await brief.stop()
  })
})
