/**
 * The page that `cygnet login` leads to, in a browser: by the address that has the code in it, and by the one
 * where it is entered.
 */
import { rmSync } from 'node:fs'
import * as openid from 'openid-client'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Iam, startIam } from '../../infra/local/services/iam/iam.ts'
import { temporaryFolder } from '../../infra/local/testing.ts'
import { seriousFindings } from './axe.ts'
import { CHROMIUM, openTab, startBrowser, takePicture, WITHOUT } from './browser.ts'
import { focused } from './keyboard.ts'

const dataFolder = temporaryFolder()
let iam: Iam
let browser: Browser
let client: openid.Configuration

const begin = () => openid.initiateDeviceAuthorization(client, { scope: 'openid profile wlcg.groups' })

async function withPage<T>(work: (page: Page) => Promise<T>): Promise<T> {
  const tab = await openTab(browser, iam.issuer)
  try {
    return await work(await tab.newPage())
  } finally {
    await tab.close()
  }
}

async function signIn(page: Page): Promise<void> {
  await page.fill('#name', 'reader')
  await page.fill('#password', iam.users.find(({ name }) => name === 'reader')?.password ?? '')
  await page.click('button:text-is("Sign in")')
  await page.waitForSelector('text=The command continues')
}

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'signing in on the command line', () => {
  beforeAll(async () => {
    iam = await startIam({ dataFolder, publicUrl: 'http://127.0.0.1:9/' })
    client = await openid.discovery(new URL(iam.issuer), 'cygnet-cli', undefined, openid.None(), {
      execute: [openid.allowInsecureRequests],
    })
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await iam?.stop()
    rmSync(dataFolder, { recursive: true, force: true })
  })

  test('the address with the code in it shows the code, asks whether it is theirs, and signs the command in', async () => {
    const device = await begin()
    await withPage(async (page) => {
      await page.goto(device.verification_uri_complete ?? '')
      expect(await page.inputValue('input[name="user_code"]')).toBe(device.user_code)
      expect(await page.textContent('main')).toContain('Does the command show this code?')
      await takePicture(page, 'device-with-code')
      expect(await seriousFindings(page)).toEqual([])
      await page.click('button:text-is("Yes, continue")')
      await signIn(page)
    })
    const tokens = await openid.pollDeviceAuthorizationGrant(client, { ...device, interval: 1 })
    expect(tokens.claims()?.sub).toBe('reader')
  })

  test('a person who did not request the sign-in refuses it, and the command reports that', async () => {
    const device = await begin()
    await withPage(async (page) => {
      await page.goto(device.verification_uri_complete ?? '')
      await page.click('button:text-is("No, stop")')
      await page.waitForSelector('text=The sign-in of the command was stopped')
    })
    await expect(
      openid.pollDeviceAuthorizationGrant(client, { ...device, interval: 1 }),
    ).rejects.toMatchObject({ error: 'access_denied' })
  })

  test('the address without it takes the code by keyboard', async () => {
    const device = await begin()
    await withPage(async (page) => {
      await page.goto(device.verification_uri)
      expect((await focused(page)).name).toBe('user_code')
      await page.keyboard.type(device.user_code)
      await page.keyboard.press('Enter')
      await page.waitForSelector(`code:text-is("${device.user_code}")`)
      await page.click('button:text-is("Yes, continue")')
      await signIn(page)
    })
  })
})
