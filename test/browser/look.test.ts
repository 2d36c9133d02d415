/**
 * How every page looks and reads: on a desk and on a phone, light and underground, to eyes and to programs
 * that read aloud.
 */
import { randomUUID } from 'node:crypto'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../infra/local/ports.ts'
import { audited, beginUse } from '../../shared/access/audit.ts'
import { createToken } from '../../shared/access/tokens.ts'
import { addRequests } from '../../shared/work/outbox.ts'
import { alert } from '../../shared/work/raise-alert.ts'
import { asEpisodes } from '../support/alerts.ts'
import { addCopiesInAllStates, addDeadLetter, addFailedArrival, fillSite, OPERATOR } from '../support/site.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'
import { seriousFindings } from './axe.ts'
import {
  CHROMIUM,
  DESKTOP,
  openSite,
  openTab,
  PHONE,
  type Served,
  serveSite,
  sideways,
  startBrowser,
  takePicture,
  useTheme,
  WITHOUT,
} from './browser.ts'

const PAGES = {
  now: '/',
  runs: '/runs',
  'runs-filtered':
    '/runs?tag=LNGS&cloud=present&param.GEM1_V.gte=400&column=start&column=state&column=tape&column=GEM1_V&column=exposure_sec',
  'runs-wrong': '/runs?from=abc',
  'runs-empty': '/runs?tag=LNGS&from=999999',
  jump: '/jump?q=60020000',
  api: '/api/v1',
  run: '/runs/LNGS/60019',
  'run-long': '/runs/LNGS/60001',
  'run-failed': '/runs/LNGS/60017',
  'run-unknown': '/runs/LNGS/60099',
  refused: '/nothing',
  'runs-unknown-tag': '/runs?tag=lngs',
  replicas: '/replicas',
  'replicas-unknown-tag': '/replicas?tag=lngs',
  queues: '/queues',
  python: '/python?tag=LNGS&run=60019',
  tokens: '/tokens',
  audit: '/audit',
} as const
const THEMES = ['light', 'underground'] as const
const SIZES = { desk: DESKTOP, phone: PHONE } as const

const openBreaker = (lastError: string) => ({
  dependency: `tape:davs://${lastError}.example.org`,
  failures: 3,
  openSince: new Date(),
  probeAt: new Date(),
  lastError,
})

let context: TestTapeContext
let site: Served
let browser: Browser

describe.skipIf(CHROMIUM === null)(CHROMIUM === null ? WITHOUT : 'look', () => {
  beforeAll(async () => {
    context = await startTestTapeContext()
    await fillSite(context)
    await addCopiesInAllStates(context)
    await addDeadLetter(context, { bucket: 'cygno-data', key: 'LNGS/run60017.mid.gz' })
    await addFailedArrival(
      context,
      'LNGS/run60099.mid.gz',
      'the store answered 503 Service Unavailable while byte 41233920 was read',
    )
    await addHistory(60_001, 60)
    await addTokens()
    site = await serveSite(context, () => OPERATOR)
    browser = await startBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
    await context?.close()
  })

  async function addTokens(): Promise<void> {
    const { database } = context
    const at = new Date()
    const of = { subject: OPERATOR.subject, name: OPERATOR.name }
    const everything = [...OPERATOR.scopes]
    await createToken(database, { name: 'daq01', scopes: ['push:LNGS'], days: 365 }, at)
    await createToken(database, { ...of, name: 'notebook', scopes: everything, days: 30 }, at)
    await createToken(database, { ...of, name: 'old', scopes: ['read:*'], days: 1 }, new Date(0))
    const use = { ...of, tokenId: null, action: 'recall', requestId: randomUUID() } as const
    const runs = Array.from({ length: 60 }, (_, index) => 60_001 + index).join(', ')
    await audited({ ...context, now: () => at }, { ...use, object: `LNGS: ${runs}` }, async () => {})
    await audited(
      { ...context, now: () => at },
      { ...use, object: 'LNGS: 60001' },
      async () => {},
      () => 'partly done: without 1 of 2 files, which cannot be recalled, of LNGS: 60002',
    )
    await beginUse(database, { ...use, action: 'replay', object: 'dead letters' }, at)
  }

  async function addHistory(runNumber: number, lines: number): Promise<void> {
    const { database } = context
    const run = await database
      .selectFrom('runs')
      .select('id')
      .where('tag', '=', 'LNGS')
      .where('runNumber', '=', runNumber)
      .executeTakeFirstOrThrow()
    const line = (index: number) => ({
      runId: run.id,
      at: new Date(Date.now() - 60_000 * (lines - index)),
      what: 'copy to tape failed',
      detail: `try ${index + 1}: the endpoint answered 507 Insufficient Storage`,
    })
    await database
      .insertInto('runHistory')
      .values(Array.from({ length: lines }, (_, index) => line(index)))
      .execute()
  }

  const cases = Object.entries(PAGES).flatMap(([name, path]) =>
    THEMES.flatMap((theme) =>
      Object.entries(SIZES).map(([size, viewport]) => ({ name, path, theme, size, viewport })),
    ),
  )

  test.each(cases)(
    '$name, $theme, $size: nothing serious for axe, nothing refused by the policy, no sideways scrolling',
    async (look) => {
      const tab = await openTab(browser, site.origin, { viewport: look.viewport })
      await useTheme(tab, site.origin, look.theme)
      const page = await tab.newPage()
      const complaints: string[] = []
      page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      await page.goto(look.path)
      await page.waitForLoadState('load')
      await takePicture(page, `${look.name}-${look.theme}-${look.size}`)
      expect(await sideways(page)).toBe(0)
      // The browser's own word for a page that says what is wrong.
      expect(complaints.filter((text) => !/status of 40[04] /.test(text))).toEqual([])
      expect(await seriousFindings(page)).toEqual([])
      await tab.close()
    },
  )

  test('a page that is cut off states since when, and becomes live again by itself', async () => {
    const port = await freePort()
    const other = await serveSite(context, () => OPERATOR, {}, port)
    const tab = await openTab(browser, other.origin)
    const page = await tab.newPage()
    await page.goto('/')
    await page.waitForSelector('.live.on')
    await other.stop()
    await page.waitForSelector('.live.lost')
    await takePicture(page, 'now-cut-off-light-desk')
    expect(await page.textContent('[data-live-status]')).toMatch(
      /^not connected since \d\d:\d\d UTC: all values are older than \d+ (?:s|min)$/,
    )
    const again = await serveSite(context, () => OPERATOR, {}, port)
    await page.waitForSelector('.live.on:not(.lost)')
    expect(await page.textContent('[data-live-status]')).toBe('connected')
    await tab.close()
    await again.stop()
  })

  test('texts without a place to break make no page wider than its window', async () => {
    // As keys, addresses and errors of servers are.
    const long = 'x'.repeat(150)
    const key = `LNGS/${long}run60017.mid.gz`
    const own = await openSite(async (filled) => {
      await fillSite(filled)
      await addCopiesInAllStates(filled)
      await addFailedArrival(filled, 'LNGS/run60099.mid.gz', `https://${long}.example.org answered 503`)
      await addDeadLetter(filled, { bucket: 'cygno-data', key })
      const { database } = filled
      await database.updateTable('tasks').set({ lastError: long }).execute()
      await database.updateTable('runs').set({ problem: long, description: long }).execute()
      await database.insertInto('breakers').values(openBreaker(long)).execute()
      const run = { tag: 'LNGS', runNumber: 60_017, id: null }
      const object = { bucket: 'cygno-data', key }
      const found = { rule: 'invalid-file', severity: 'error', summary: `${key} is no run` } as const
      await addRequests(database, [alert({ ...found, run, object })], new Date())
      await asEpisodes(database)
      await createToken(database, { name: long.slice(0, 60), scopes: ['push:LNGS'], days: 365 }, new Date())
      const use = {
        subject: long,
        name: long,
        tokenId: null,
        action: 'replay',
        requestId: randomUUID(),
      } as const
      await beginUse(database, { ...use, object: key }, new Date())
    })
    const wide: string[] = []
    for (const [size, viewport] of Object.entries(SIZES)) {
      const tab = await openTab(own.browser, own.site.origin, { viewport })
      const page = await tab.newPage()
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(path)
        await page.waitForLoadState('load')
        if ((await sideways(page)) > 0) wide.push(`${name} ${size}`)
        if (name === 'now') await takePicture(page, `now-long-texts-${size}`)
      }
    }
    await own.close()
    expect(wide).toEqual([])
  })

  test('nothing moves for users who prefer reduced motion', async () => {
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
