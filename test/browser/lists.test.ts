/** The header, the list of runs and its sheets: on a desk, on a phone, and by keyboard. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fillSite } from '../support/site.ts'
import { seriousFindings } from './axe.ts'
import {
  CHROMIUM,
  type OpenSite,
  openSite,
  openTab,
  PHONE,
  type Served,
  sideways,
  takePicture,
  useTheme,
  WITHOUT,
} from './browser.ts'
import { focused } from './keyboard.ts'

const FILTERED = '/runs?tag=LNGS&cloud=present&param.GEM1_V.gte=400'

let site: Served
let browser: Browser
let opened: OpenSite

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'lists', () => {
  beforeAll(async () => {
    opened = await openSite(fillSite)
    ;({ site, browser } = opened)
  })
  afterAll(() => opened?.close())

  async function withPage(
    path: string,
    options: BrowserContextOptions,
    look: (page: Page) => Promise<void>,
    theme: 'light' | 'underground' = 'light',
  ): Promise<void> {
    const tab = await openTab(browser, site.origin, options)
    await useTheme(tab, site.origin, theme)
    const page = await tab.newPage()
    await page.goto(path)
    await look(page)
    await tab.close()
  }
  const boxOf = async (page: Page, selector: string) => {
    const box = await page.locator(selector).first().boundingBox()
    if (box === null) throw new Error(`${selector} is not shown`)
    return box
  }

  test('on a desk rows are 28 pixels high and the filters are in sight', async () => {
    await withPage('/runs', {}, async (page) => {
      expect(await page.isVisible('select[name="tag"]')).toBe(true)
      expect(await page.isVisible('button:text-is("Menu")')).toBe(false)
      const height = (await boxOf(page, '.run-rows tbody tr:nth-child(3)')).height
      expect(Math.round(height)).toBeLessThanOrEqual(29)
    })
  })

  test.each(['light', 'underground'] as const)(
    'on a phone, %s, the first screen shows runs as cards below one row of header and the count of filters',
    async (theme) => {
      const look = async (page: Page) => {
        expect((await boxOf(page, 'header')).height).toBeLessThan(60)
        expect(await page.textContent('.open-filters')).toContain('Filters 3')
        expect(await page.isVisible('select[name="tag"]')).toBe(false)
        const third = await boxOf(page, '.run-rows tbody tr:nth-child(3)')
        expect(third.y + third.height).toBeLessThan(PHONE.height)
        expect(third.width).toBeLessThanOrEqual(PHONE.width)
        expect(third.height).toBeLessThan(70)
        const card = (await page.locator('.run-rows tbody tr').first().innerText()).split(/\s+/).join(' ')
        expect(card).toMatch(/^60020 LNGS .*complete/)
        expect(await sideways(page)).toBe(0)

        await page.click('button:has-text("Filters")')
        expect(await page.isVisible('select[name="tag"]')).toBe(true)
        expect(await sideways(page)).toBe(0)
        await takePicture(page, `filters-${theme}-phone`)
        expect(await seriousFindings(page)).toEqual([])
        await page.selectOption('select[name="tape"]', 'on-media')
        await page.click('#filters button:text-is("Show")')
        await page.waitForURL('**/runs?*tape=on-media*')
        expect(await page.textContent('.open-filters')).toContain('Filters 4')
      }
      await withPage(FILTERED, { viewport: PHONE }, look, theme)
    },
  )

  test('on a phone the filters, the menu and the lists for programs open without scripts', async () => {
    await withPage('/runs', { viewport: PHONE, javaScriptEnabled: false }, async (page) => {
      await page.click('button:text-is("Menu")')
      await page.click('#menu a:text-is("Replicas")')
      await page.waitForURL('**/replicas')
      await page.goto('/runs')
      await page.click('button:has-text("Filters")')
      await page.fill('input[name="from"]', '60019')
      await page.click('#filters button:text-is("Show")')
      await page.waitForURL('**/runs?from=60019')
      await page.click('button:text-is("Use this elsewhere")')
      const download = page.waitForEvent('download')
      await page.click('#elsewhere-runs a:text-is("CSV")')
      expect((await download).suggestedFilename()).toBe('runs.csv')
    })
  })

  test.each(['light', 'underground'] as const)('the sheet for programs is accessible, %s', async (theme) => {
    const look = async (page: Page) => {
      await page.click('button:text-is("Use this elsewhere")')
      expect(await page.isVisible('#elsewhere-runs')).toBe(true)
      await takePicture(page, `elsewhere-${theme}-phone`)
      expect(await seriousFindings(page)).toEqual([])
      await page.keyboard.press('Escape')
      expect(await page.isVisible('#elsewhere-runs')).toBe(false)
    }
    await withPage(FILTERED, { viewport: PHONE }, look, theme)
    await withPage(FILTERED, {}, look, theme)
  })

  test('the key / leads to the jump box, a number to its run, and / can be typed in a field', async () => {
    await withPage('/replicas', {}, async (page) => {
      await page.keyboard.press('/')
      expect((await focused(page)).name).toBe('q')
      await page.keyboard.type('60007')
      await page.keyboard.press('Enter')
      await page.waitForURL('**/runs/LNGS/60007')
      await page.goto('/runs')
      await page.focus('input[name="from"]')
      await page.keyboard.press('/')
      expect(await page.inputValue('input[name="from"]')).toBe('/')
    })
  })

  test('without scripts the jump box is a form, on a phone as well', async () => {
    await withPage('/', { viewport: PHONE, javaScriptEnabled: false }, async (page) => {
      await page.fill('input[name="q"]', 'LNF 7003')
      await page.press('input[name="q"]', 'Enter')
      await page.waitForURL('**/runs/LNF/7003')
    })
  })

  test('sorting and paging keep the filters in the address', async () => {
    await withPage(FILTERED, {}, async (page) => {
      await page.click('th a:has-text("Size")')
      await page.waitForURL(/sort=-size/)
      expect(new URL(page.url()).searchParams.get('param.GEM1_V.gte')).toBe('400')
      await page.click('a[aria-label="Without In the store: present"]')
      await page.waitForURL((url) => !url.search.includes('cloud'))
      expect(new URL(page.url()).search).toContain('sort=-size')
    })
  })

  test('a link to a schema in the reference unfolds it', async () => {
    await withPage('/api/v1', { viewport: PHONE }, async (page) => {
      expect(await sideways(page)).toBe(0)
      await page.goto('/api/v1#schema-RunDetails')
      await page.waitForSelector('details[open]:has(#schema-RunDetails)')
    })
  })
})
