/**
 * Pages whose server or network goes silent without closing anything: no browser tells them. The clock of the
 * page is put forward.
 */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SilentProxy, startSilentProxy } from '../support/silent-proxy.ts'
import { fillSite, makeRun, OPERATOR } from '../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'
import { until } from '../support/waiting.ts'
import { CHROMIUM, openTab, type Served, serveSite, startBrowser, takePicture, WITHOUT } from './browser.ts'

/** More than a page waits for a sign of life, for an answer, and between two looks. */
const DEAD_MS = 41_000
const ANSWER_MS = 16_000
const LOOK_MS = 61_000

const NOT_CONNECTED = /^not connected since \d\d:\d\d UTC: all values are older than \d+ (?:s|min)$/

let context: TestTapeContext
let site: Served
let proxy: SilentProxy
let browser: Browser

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'silence', () => {
  beforeAll(async () => {
    context = await startTestTapeContext()
    await fillSite(context)
    site = await serveSite(context, () => OPERATOR, { live: { lastsSeconds: 120, pollMs: 50, aliveMs: 100 } })
    proxy = await startSilentProxy(Number(new URL(site.origin).port))
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await proxy?.close()
    await site?.stop()
    await context?.close()
  })

  async function openNow(): Promise<Page> {
    const tab = await openTab(browser, `http://127.0.0.1:${proxy.port}`)
    const page = await tab.newPage()
    await page.clock.install()
    await page.goto('/')
    await page.waitForSelector('.live.on')
    return page
  }
  const status = (page: Page) => page.textContent('[data-live-status]')

  /**
   * Puts the clock forward until something shows, with more and more true time after it: what the page begins
   * then has to end.
   */
  async function forwardUntil(page: Page, ms: number, selector: string): Promise<void> {
    for (let trueMs = 500; ; trueMs *= 2) {
      await page.clock.fastForward(ms)
      const shows = await page.waitForSelector(selector, { timeout: trueMs }).then(
        () => true,
        () => false,
      )
      if (shows) return
    }
  }

  /** Resolves when the page has heard several signs of life more: the first may be of before. */
  async function watchLife(page: Page): Promise<() => Promise<void>> {
    const session = await page.context().newCDPSession(page)
    await session.send('Network.enable')
    let heard = 0
    session.on('Network.eventSourceMessageReceived', ({ eventName }) => {
      if (eventName === 'alive') heard++
    })
    return async () => {
      const before = heard
      await until(() => heard >= before + 3)
    }
  }

  test('a page reports that it is not connected, and is live and up to date once the server answers', async () => {
    const page = await openNow()
    proxy.silence()
    await page.clock.fastForward(DEAD_MS)
    await page.waitForSelector('.live.lost:not(.on)')
    const shown = await status(page)
    expect(shown).toMatch(NOT_CONNECTED)
    await makeRun(context, { tag: 'LNGS', runNumber: 60_050, ago: 5 })
    // A look that hangs, and a second connection that does.
    await page.clock.fastForward(LOOK_MS)
    await page.waitForTimeout(600)
    expect(await status(page)).toMatch(NOT_CONNECTED)
    expect((await status(page))?.slice(0, 30)).toBe(shown?.slice(0, 30))
    await takePicture(page, 'now-silent-light-desk')
    proxy.restore()
    await page.clock.fastForward(ANSWER_MS)
    // Browsers try connections once more that are dead and that they do not know to be.
    await forwardUntil(page, DEAD_MS, '.live.on')
    await forwardUntil(page, LOOK_MS, 'a.run:text-is("60050")')
    await page.waitForSelector('.live.on:not(.lost)')
    expect(await status(page)).toBe('connected')
    await page.context().close()
  })

  test('a page stays live while nothing happens: the server gives signs of life', async () => {
    const page = await openNow()
    const signsOfLife = await watchLife(page)
    // Longer than any page waits, and shorter than from one look to the next.
    for (let times = 0; times < 2; times++) {
      await page.clock.fastForward(25_000)
      await signsOfLife()
    }
    expect(await status(page)).toBe('connected')
    expect(await page.getAttribute('[data-live-status]', 'class')).toBe('live on')
    await page.context().close()
  })

  test('a reload that hangs is reported and given up, and the next one succeeds', async () => {
    const page = await openNow()
    const isLook = (url: URL) => url.pathname === '/'
    await page.route(isLook, () => {})
    await makeRun(context, { tag: 'LNGS', runNumber: 60_060, ago: 2 })
    await page.waitForRequest((request) => isLook(new URL(request.url())))
    await page.clock.fastForward(ANSWER_MS)
    await page.waitForSelector('.live.lost')
    expect(await status(page)).toBe('the page may be out of date: reload it')
    await page.unroute(isLook)
    await page.clock.fastForward(LOOK_MS)
    await page.waitForSelector('a.run:text-is("60060")')
    await page.waitForSelector('.live:not(.lost)')
    expect(await status(page)).toBe('connected')
    await page.context().close()
  })
})
