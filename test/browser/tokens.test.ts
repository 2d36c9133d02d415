/** A person makes, copies and revokes a token without a mouse, on a desk and on a phone, light and underground. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPERATOR } from '../support/site.ts'
import { seriousFindings } from './axe.ts'
import {
  CHROMIUM,
  DESKTOP,
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
import { tabTo } from './keyboard.ts'

let site: Served
let browser: Browser
let opened: OpenSite

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'tokens', () => {
  beforeAll(async () => {
    opened = await openSite(
      async () => {},
      () => ({ ...OPERATOR, confirmedAt: new Date() }),
    )
    ;({ site, browser } = opened)
  })
  afterAll(() => opened?.close())

  test.each([
    ['desk', DESKTOP, 'light'],
    ['phone', PHONE, 'underground'],
  ] as const)('are made, copied and revoked by keyboard on a %s', async (size, viewport, theme) => {
    const tab = await openTab(browser, site.origin, {
      viewport,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    await useTheme(tab, site.origin, theme)
    const page = await tab.newPage()
    const check = async (name: string) => {
      await takePicture(page, `${name}-${theme}-${size}`)
      expect(await seriousFindings(page)).toEqual([])
      expect(await sideways(page)).toBe(0)
    }
    await page.goto('/tokens')
    expect(await page.textContent('main')).toContain('You have no tokens.')
    await check('tokens-none')
    await tabTo(page, { name: 'name' })
    await page.keyboard.type(`notebook-${size}`)
    await tabTo(page, { text: 'Make the token' })
    await page.keyboard.press('Enter')
    await page.waitForSelector('#secret')
    await check('token-made')
    const secret = (await page.textContent('#secret')) ?? ''
    expect(secret).toMatch(/^cyg_[A-Za-z0-9_-]{43}$/)
    await tabTo(page, { text: 'Copy' })
    await page.keyboard.press('Enter')
    await page.waitForSelector('text=Copied')
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret)
    await page.goto('/tokens')
    const revoke = await page.getAttribute('button[aria-label^="Revoke notebook"]', 'aria-label')
    await tabTo(page, { text: revoke ?? '' })
    await page.keyboard.press('Enter')
    await page.waitForSelector('text=The token was revoked.')
    await check('tokens-revoked')
    await tab.close()
  })
})
