/**
 * One day with Cygnet, through everything that `npm start` starts: nobody, a reader and an operator, each in
 * a browser of their own.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'
import { putUnreadable } from '../support/unreadable-object.ts'
import { LONGEST_STACK_WAIT_MS } from '../support/waiting.ts'
import { seriousFindings } from './axe.ts'
import { CHROMIUM, openTab, startBrowser, takePicture, WITHOUT } from './browser.ts'
import { focused, tabTo } from './keyboard.ts'

const WANTED = { key: 'LNGS/run12345.mid.gz', path: '/runs/LNGS/12345' }
const UNREADABLE = 'LNGS/run12666.mid.gz'

let stack: TestStack
let browser: Browser
let origin: string
let bytes: Uint8Array
let mendDisk: () => void
let reader: { readonly tab: BrowserContext; readonly page: Page }

const runOf = (runNumber: number, description: string) =>
  runFileBytes({
    runNumber,
    description,
    camera: 64,
    events: 12,
    digitizers: false,
    startTime: Math.floor(Date.now() / 1000) - 300,
  })
const md5 = (data: Uint8Array) => createHash('md5').update(data).digest('hex')

function passwordOf(name: string): string {
  const user = stack.users.find((known) => known.name === name)
  if (user === undefined) throw new Error(`the IAM knows no ${name}`)
  return user.password
}

async function catalogued(runNumber: number): Promise<void> {
  await eventually(`run ${runNumber} is catalogued`, () =>
    stack.context.database
      .selectFrom('runs')
      .select('id')
      .where('runNumber', '=', runNumber)
      .executeTakeFirst(),
  )
}

/** The object is tried for the sixth time, without the half hour that its attempts take by themselves. */
async function failsOften(key: string): Promise<void> {
  const arrivals = () =>
    stack.context.database.selectFrom('arrivals').select('state').where('objectKey', '=', key)
  await eventually('it has failed once', () =>
    arrivals().where('attempts', '=', 1).where('state', '=', 'received').executeTakeFirst(),
  )
  await stack.context.database
    .updateTable('arrivals')
    .set({ attempts: 5, nextAttemptAt: new Date() })
    .where('objectKey', '=', key)
    .execute()
  const isGivenUp = () => arrivals().where('state', '=', 'failed').executeTakeFirst()
  await eventually('it is tried by the next beat of the schedule', isGivenUp, LONGEST_STACK_WAIT_MS)
}

/** Every page of the way is kept as a picture, and looked at by axe. */
async function look(page: Page, name: string): Promise<void> {
  await takePicture(page, `journey-${name}`)
  expect(await seriousFindings(page)).toEqual([])
}

/** What the row of a table says that has this text, by the heads of its columns. */
async function rowOf(page: Page, text: string): Promise<Readonly<Record<string, string>>> {
  const table = page.locator('table', { hasText: text })
  const heads = await table.locator('thead th').allTextContents()
  const cells = await table.locator('tbody tr', { hasText: text }).locator('th, td').allTextContents()
  return Object.fromEntries(heads.map((head, index) => [head.trim(), cells[index] ?? '']))
}

const atIam = (page: Page) => page.waitForURL(`${stack.environment.CYGNET_OIDC_ISSUER}/interaction/*`)

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'a journey through the whole stack', () => {
  beforeAll(async () => {
    stack = await startTestStack({ environment: { CYGNET_ANONYMOUS_SCOPES: 'read:LNF' } })
    origin = stack.address('catalog-api')
    browser = await startBrowser()
    mendDisk = await putUnreadable(stack, UNREADABLE, await runOf(12_666, 'on a disk that fails'))
    bytes = await runOf(12_345, 'Fe55 at 17.5 cm')
    await stack.put(WANTED.key, bytes)
    await stack.put('LNGS/run12346.mid.gz', await runOf(12_346, 'another one'))
    await stack.put('LNF/run07001.mid.gz', await runOf(7001, 'open to everyone'))
    for (const runNumber of [12_345, 12_346, 7001]) await catalogued(runNumber)
    const tab = await openTab(browser, origin)
    reader = { tab, page: await tab.newPage() }
  })
  afterAll(async () => {
    await browser?.close()
    await stack?.close()
  })

  test('an anonymous visitor sees what is open to everyone, gets no link, and is asked to sign in for more', async () => {
    const tab = await openTab(browser, origin)
    const page = await tab.newPage()
    await page.goto('/')
    expect(await page.locator('section.site h2').allTextContents()).toEqual(['LNF'])
    expect(await page.textContent('header .who')).toBe('Sign in')
    await look(page, '01-now-anonymous')
    await page.click('a:text-is("Runs")')
    expect(await page.textContent('caption')).toBe('1 run')
    expect(await page.locator('input[name="run"], button:has-text("Links")').count()).toBe(0)
    await look(page, '02-runs-anonymous')
    await page.click('a:text-is("7001")')
    expect(await page.textContent('.description')).toBe('open to everyone')
    expect(await page.locator('button:has-text("Get links")').count()).toBe(0)
    for (const path of [WANTED.path, '/queues']) {
      await page.goto(path)
      await atIam(page)
    }
    await tab.close()
  })

  test('a reader signs in by keyboard alone: by a code with PKCE, on pages of the IAM, back to where they were', async () => {
    const { tab, page } = reader
    const asked: URL[] = []
    tab.on('request', (request) => asked.push(new URL(request.url())))
    await page.goto('/runs?tag=LNF')
    await tabTo(page, { text: 'Sign in' })
    await page.keyboard.press('Enter')
    await atIam(page)
    expect((await focused(page)).name).toBe('name')
    await look(page, '03-iam')
    await page.keyboard.type('reader')
    await tabTo(page, { name: 'password' })
    await page.keyboard.type('not the password')
    await tabTo(page, { text: 'Sign in' })
    await page.keyboard.press('Enter')
    await page.waitForSelector('[role="alert"]:has-text("wrong")')
    await look(page, '04-iam-wrong-password')
    expect((await focused(page)).name).toBe('name')
    await page.keyboard.type('reader')
    await tabTo(page, { name: 'password' })
    await page.keyboard.type(passwordOf('reader'))
    await page.keyboard.press('Enter')
    await page.waitForURL(`${origin}/runs?tag=LNF`)
    expect(await page.textContent('header .who a[href="/tokens"]')).toBe('reader')
    const [request] = asked.filter(({ searchParams }) => searchParams.has('code_challenge'))
    expect(Object.fromEntries(request?.searchParams ?? [])).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
    })
    expect(asked.filter(({ href }) => /[?&#](?:access_token|id_token|password)=/.test(href))).toEqual([])
    const session = (await tab.cookies(origin)).find(({ name }) => name === 'cygnet')
    expect(session).toMatchObject({ httpOnly: true, sameSite: 'Lax' })
  })

  test('the reader finds a run by its filters, opens it, gets a link, and what comes through it are the bytes that were put', async () => {
    const { page } = reader
    await page.goto('/')
    expect((await page.locator('section.site h2').allTextContents()).toSorted()).toEqual(['LNF', 'LNGS'])
    await look(page, '05-now-reader')
    await page.click('nav a:text-is("Runs")')
    await page.selectOption('select[name="tag"]', 'LNGS')
    await page.fill('input[name="to"]', '12400')
    await page.click('summary:has-text("More filters")')
    await page.fill('input[name="text"]', 'Fe55')
    await page.click('button:has-text("Show")')
    expect(await page.textContent('caption')).toBe('1 run')
    await look(page, '06-runs-filtered')
    await page.click('a:text-is("12345")')
    await page.waitForURL(`**${WANTED.path}`)
    expect(await page.textContent('.description')).toBe('Fe55 at 17.5 cm')
    expect(await page.textContent('.sums dd')).toBe(md5(bytes))
    await look(page, '07-run')
    await page.click('button:has-text("Get links")')
    await page.waitForURL('**/runs/links')
    const shown = await page.locator('main table code').first().textContent()
    await look(page, '08-links')
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.click('a:text-is("run12345.mid.gz")'),
    ])
    expect(download.suggestedFilename()).toBe('run12345.mid.gz')
    expect(download.url()).toContain(stack.environment.CYGNET_S3_ENDPOINT)
    const arrived = md5(await readFile(await download.path()))
    expect([arrived, shown]).toEqual([md5(bytes), md5(bytes)])
  })

  test('a reader is offered no retry, and is refused when requesting one', async () => {
    const { page } = reader
    expect(await page.locator('nav a').allTextContents()).not.toContain('Queues')
    const answer = await page.goto('/queues')
    expect(answer?.status()).toBe(403)
    expect(await page.textContent('main')).toMatch(
      /reader may not do this, .*\(operate:\*\); reader has read:\*/,
    )
    expect(await page.textContent('main')).toContain('You are signed in as reader')
    await look(page, '09-queues-refused')
    const retry = `fetch('/queues/runs/retry', {
      method: 'POST',
      body: new URLSearchParams({ all: 'yes', csrf: document.querySelector('[name="csrf"]').value }),
    }).then(async (answer) => ({ status: answer.status, problem: await answer.json() }))`
    expect(await page.evaluate(retry)).toMatchObject({
      status: 403,
      problem: { detail: expect.stringMatching(/^reader may not do this, /) },
    })
  })

  test('a run that is put into the store appears on Now by itself', async () => {
    const { page } = reader
    await page.goto('/')
    await page.waitForSelector('.live.on')
    await page.evaluate('void (window.isSamePage = true)')
    await stack.put('LNGS/run12700.mid.gz', await runOf(12_700, 'arrived while somebody looked'))
    await page.waitForSelector('a.run:has-text("12700")')
    await page.waitForSelector('.description:has-text("arrived while somebody looked")')
    expect(await page.evaluate('window.isSamePage')).toBe(true)
    await look(page, '10-now-live')
  })

  test('the reader signs out of the pages and of the IAM, and then sees only what is open', async () => {
    const { tab, page } = reader
    const kept = await tab.cookies(origin)
    await page.click('button:text-is("Sign out")')
    await page.waitForURL(`${stack.environment.CYGNET_OIDC_ISSUER}/**`)
    await look(page, '11-iam-sign-out')
    await page.click('button:has-text("Yes, sign out")')
    await page.waitForURL(`${origin}/`)
    expect(await page.textContent('header .who')).toBe('Sign in')
    expect(await page.locator('section.site h2').allTextContents()).toEqual(['LNF'])
    expect((await tab.cookies(origin)).map(({ name }) => name)).not.toContain('cygnet')
    await look(page, '12-signed-out')
    // Whoever kept a copy of the cookie has nothing of it.
    const cookie = kept.map(({ name, value }) => `${name}=${value}`).join('; ')
    const again = await fetch(new URL(`/api/v1${WANTED.path}`, origin), { headers: { cookie } })
    expect([kept.map(({ name }) => name), again.status]).toEqual([expect.arrayContaining(['cygnet']), 401])
    // The IAM asks again: it has not kept them signed in behind our back.
    await page.goto(WANTED.path)
    await atIam(page)
    await page.waitForSelector('input[name="password"]')
    await tab.close()
  })

  test('an operator sends a dead letter back once its cause is fixed, and its run is catalogued', async () => {
    const { signal } = new AbortController()
    const dead = () => stack.context.queues.depth('runs-dead', signal)
    await failsOften(UNREADABLE)
    // Its message died at a time when the catalogue took nothing.
    const arrival = { bucket: stack.bucket, key: UNREADABLE, etag: null, versionId: null, sizeBytes: null }
    const more = {
      sequencer: null,
      eventName: 'ObjectCreated:Put',
      eventTime: null,
      source: 'embedded',
    } as const
    await stack.context.queues.send('runs-dead', [encodeNotification([{ ...arrival, ...more }])], signal)
    const tab = await openTab(browser, origin)
    const page = await tab.newPage()
    await page.goto('/queues')
    await atIam(page)
    await page.fill('input[name="name"]', 'operator')
    await page.fill('input[name="password"]', passwordOf('operator'))
    await page.click('button')
    await page.waitForURL(`${origin}/queues`)
    const letter = await rowOf(page, `${stack.bucket}/${UNREADABLE}`)
    expect(letter).toMatchObject({ Attempts: '6', 'Last error': expect.not.stringContaining('knows none') })
    await look(page, '13-queues-dead-letter')
    await page.goto('/')
    expect(await page.textContent('#alerts')).toContain(`${UNREADABLE} could not be catalogued after 6 tries`)
    await look(page, '14-now-operator')
    await page.click('#alerts a:text-is("LNGS 12666")')
    expect(await page.textContent('main')).toMatch(
      /reading its file failed repeatedly.*arrival-not-processed/s,
    )
    await look(page, '15-run-given-up')
    mendDisk()
    await page.click('nav a:text-is("Queues")')
    await page.click(`button[aria-label="Retry ${stack.bucket}/${UNREADABLE}"]`)
    await page.waitForURL('**/queues?retried=1#runs')
    expect(await page.textContent('.notice')).toContain('1 dead letter was sent back')
    expect(await page.locator('#dead-runs').count()).toBe(0)
    await look(page, '16-queues-retried')
    await catalogued(12_666)
    await page.goto('/runs/LNGS/12666')
    expect(await page.textContent('.description')).toBe('on a disk that fails')
    await look(page, '17-run-after-retry')
    expect((await dead()).waiting).toBe(0)
    await tab.close()
  })
})
