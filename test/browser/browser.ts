/** The system's Chromium, and the site served to it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import type { PageOptions } from '../../functions/catalog-api/pages/options.ts'
import { findChromium } from '../../infra/local/setup.ts'
import type { Caller } from '../../shared/access/caller.ts'
import { serveHttp } from '../../shared/runtime/http.ts'
import { OPERATOR, siteApp } from '../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'
import { LONGEST_WAIT_MS } from '../support/waiting.ts'

export const CHROMIUM = await findChromium()
export const WITHOUT = 'needs Chromium: npm run setup -- --with chromium'

/** In a container there is no sandbox to be had; the pages are our own. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM ?? '', args: ['--no-sandbox'], timeout: LONGEST_WAIT_MS })

export interface Served {
  readonly origin: string
  stop(): Promise<void>
}

/** @param port one that was free a moment ago; any when absent. */
export async function serveSite(
  context: TestTapeContext,
  who: () => Caller,
  options: Partial<PageOptions> = {},
  port?: number,
): Promise<Served> {
  const end = new AbortController()
  const { app } = siteApp(context, who, options)
  const ending = { signal: end.signal, idleSeconds: 0.1, graceSeconds: 1 }
  const host = await serveHttp({
    app,
    log: context.log,
    hostname: '127.0.0.1',
    ...ending,
    ...(port !== undefined && { port }),
  })
  return {
    origin: `http://127.0.0.1:${host.port}`,
    async stop() {
      end.abort()
      await host.closed
    },
  }
}

export interface OpenSite {
  readonly context: TestTapeContext
  readonly site: Served
  readonly browser: Browser
  close(): Promise<void>
}

/** The site on a catalogue that `fill` fills, and a browser. */
export async function openSite(
  fill: (context: TestTapeContext) => Promise<void>,
  who: () => Caller = () => OPERATOR,
): Promise<OpenSite> {
  const context = await startTestTapeContext()
  await fill(context)
  const site = await serveSite(context, who)
  const browser = await startBrowser()
  return {
    context,
    site,
    browser,
    async close() {
      await browser.close()
      await site.stop()
      await context.close()
    },
  }
}

export const DESKTOP = { width: 1280, height: 800 }
export const PHONE = { width: 360, height: 740 }

export async function openTab(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const tab = await browser.newContext({
    baseURL: origin,
    viewport: DESKTOP,
    locale: 'en-GB',
    timezoneId: 'Europe/Rome',
    ...options,
  })
  // Of everything that is waited for in it.
  tab.setDefaultTimeout(LONGEST_WAIT_MS)
  return tab
}

export async function useTheme(
  tab: BrowserContext,
  origin: string,
  theme: 'light' | 'underground',
): Promise<void> {
  await tab.addCookies([{ name: 'theme', value: theme, url: origin }])
}

/** By how many pixels a page is wider than its window. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

const ARTIFACTS = fileURLToPath(new URL('./artifacts', import.meta.url))

/** Kept by CI, to be looked at. */
export async function takePicture(page: Page, name: string): Promise<void> {
  mkdirSync(ARTIFACTS, { recursive: true })
  await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), fullPage: true })
}
