/** The first start on a bucket that is full: take-over times, history, and its adoption. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { createHandler as reconciling } from '../../../functions/reconcile/handler.ts'
import { createHandler as trackingArrivals } from '../../../functions/track-arrivals/handler.ts'
import { recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import {
  FROM_THE_BEGINNING,
  historyByTag,
  isOlderThanTakeOver,
  listTakeOvers,
  OTHER_TAGS,
  setTakeOver,
} from '../../../shared/catalogue/take-over.ts'
import { requestNew, sweepCopies } from '../../../shared/copies/tape/sweep-copies.ts'
import { planAdoption, releaseHistory } from '../../../shared/ingest/adopt.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { heldTags, openAlerts } from '../../../shared/queries/alerts.ts'
import { findRuns } from '../../../shared/queries/runs.ts'
import { parseRunKey } from '../../../shared/run.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { asEpisodes, drainRaised } from '../../support/alerts.ts'
import { signal } from '../../support/context.ts'
import { flipStoredByte } from '../../support/copies/stored-bytes.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

interface Command {
  readonly constructor: { readonly name: string }
  readonly input: { readonly Key?: string; readonly Prefix?: string; readonly StartAfter?: string }
}
interface Answer {
  LastModified?: Date
  readonly Contents?: { readonly Key?: string; LastModified?: Date }[]
}

const MINUTE_MS = 60_000
const TAKEN_OVER = new Date('2026-03-01T00:00:00Z')
const OLD = new Date('2023-05-01T10:00:00Z')

let base: TestTapeContext
/** The same with a store that states when it got each object, and a clock some minutes ahead. */
let context: TestTapeContext
/** By key; others are as new as they are. */
const storedAt = new Map<string, Date>()
/** Keys of which the store was asked, in that order. */
let asked: string[] = []
/** Called before the store is asked about an object. */
let beforeHead: (key: string) => Promise<void> | void = () => {}
/** Objects that only the listing shows. */
let listed: readonly string[] = []
let minutes = 0

beforeAll(async () => {
  base = await startTestTapeContext()
  const send = async (command: Command, ...rest: []) => {
    const { Key: key = '', Prefix: prefix = '', StartAfter: after = '' } = command.input
    const kind = command.constructor.name
    // Without a Date: the clock of this store is not compared with the one that is some minutes ahead.
    if (kind === 'HeadBucketCommand') return { $metadata: { httpStatusCode: 200 } }
    if (kind === 'HeadObjectCommand') {
      asked.push(key)
      await beforeHead(key)
    }
    const answer = (await base.s3.send(command as never, ...rest)) as Answer
    if (kind === 'HeadObjectCommand')
      return { ...answer, LastModified: storedAt.get(key) ?? answer.LastModified }
    if (kind !== 'ListObjectsV2Command') return answer
    const more = listed
      .filter((name) => name.startsWith(prefix) && name > after)
      .map((name) => ({ Key: name, ETag: `"${name}"`, Size: 1, LastModified: storedAt.get(name) ?? OLD }))
    if (more.length > 0)
      return { Contents: more.slice(0, 1000), IsTruncated: more.length > 1000, NextContinuationToken: 'x' }
    return {
      ...answer,
      Contents: answer.Contents?.map((object) => ({
        ...object,
        LastModified: storedAt.get(object.Key ?? '') ?? object.LastModified,
      })),
    }
  }
  context = {
    ...base,
    s3: { send } as never,
    now: () => new Date(Date.now() + minutes * MINUTE_MS),
  }
})
afterAll(() => base.close())

beforeEach(async () => {
  minutes = 5
  asked = []
  listed = []
  beforeHead = () => {}
  for (const table of ['takeOvers', 'arrivals', 'outbox'] as const)
    await context.database.deleteFrom(table).execute()
  for (const queue of ['runs', 'alerts', 'tape-requests', 'reco-requests'] as const)
    await context.drain(queue)
})

const listing = (prefix: string) =>
  reconcile(context, { bucket: context.bucket, prefix, graceSeconds: 0 }, signal)
const beat = (stop = signal) =>
  trackingArrivals(context)(scheduledEvent('track-arrivals', context.now()), {
    signal: stop,
    log: context.log,
  })
const reconcileBeat = () =>
  reconciling(context)(scheduledEvent('reconcile', context.now()), { signal, log: context.log })
const alerts = async () => (await drainRaised(context)).map(({ rule, tag }) => `${rule} ${tag}`).toSorted()
const arrivals = (prefix: string) =>
  context.database.selectFrom('arrivals').selectAll().where('objectKey', 'like', `${prefix}%`).execute()
const runsOf = async (tag: string) =>
  await context.database.selectFrom('runs').selectAll().where('tag', '=', tag).orderBy('runNumber').execute()
const takeOver = (tag: string, since: Date) =>
  setTakeOver(context.database, tag, since, { at: context.now() })
const requestedOf = async (tag: string) =>
  await context.database
    .selectFrom('copies')
    .selectAll()
    .where('kind', '=', 'tape')
    .where('tag', '=', tag)
    .orderBy('id')
    .execute()
/** Requests of the function that follows the copies: the new files, then all. */
async function requestCopies() {
  minutes += 5
  await requestNew(context, 0, signal)
  await sweepCopies(context, signal)
}

const many = (tag: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${tag}/run${String(index + 1).padStart(5, '0')}.mid.gz`)

/** A run in the store since a time; nobody was notified of it. */
async function stored(key: string, since: Date | null, seed = 1): Promise<ObjectArrival> {
  const runNumber = parseRunKey(key)?.runNumber ?? 0
  if (since !== null) storedAt.set(key, since)
  return await context.put(
    key,
    await runFileBytes({ runNumber, seed, camera: 32, events: 12, digitizers: false }),
  )
}

describe('ten thousand old objects under a tag without a take-over time', () => {
  test('wait with one alert over many listings, while other tags and new objects go on', async () => {
    listed = [...many('FULL', 10_000), ...many('SMALL', 100)].toSorted()
    for (let time = 0; time < 2; time++) {
      const { held, announced } = await listing('')
      expect(held).toEqual([
        {
          tag: 'FULL',
          objects: 10_000,
          oldest: OLD,
          newest: OLD,
          command: "cygnet adopt --tag 'FULL' --since 2023-05-01T10:00:00Z",
        },
      ])
      expect(announced).toBe(time === 0 ? 100 : 0)
    }
    expect(await alerts()).toEqual(['tag-not-adopted FULL'])
    await asEpisodes(context.database)
    const shown = await openAlerts(context.database, ['FULL'], 10)
    expect(shown).toMatchObject([{ tag: 'FULL', summary: expect.stringContaining('treat all 10000 as new') }])
    expect(await heldTags(context.database, ['FULL'])).toEqual(['FULL'])
    expect(await heldTags(context.database, ['SMALL'])).toEqual([])
    expect(await arrivals('FULL/')).toEqual([])
    listed = []
    const live = await stored('FULL/run20000.mid.gz', null)
    await processArrival(context, live, signal, context.log)
    expect(await runsOf('FULL')).toMatchObject([{ runNumber: 20_000, isHistory: false }])
    expect((await context.drain('tape-requests')).length).toBe(1)
  })

  test('are alerted again when more wait later, but not what was stored since its first live run', async () => {
    await processArrival(context, await stored('OUTAGE/run90000.mid.gz', null, 90), signal, context.log)
    await drainRaised(context)
    listed = many('OUTAGE', 150)
    for (let time = 0; time < 2; time++) await listing('OUTAGE/')
    expect(await alerts()).toEqual(['tag-not-adopted OUTAGE'])
    // They are catalogued in another way, a month passes, and others are found.
    const known = listed.map((key) => ({ bucket: context.bucket, key, etag: key, versionId: null }))
    const event = { sizeBytes: 1, sequencer: null, eventName: 'x', eventTime: OLD, source: 'replay' as const }
    await recordArrivals(
      context.database,
      known.map((each) => ({ ...each, ...event })),
      context.now(),
    )
    await context.database.updateTable('arrivals').set({ state: 'processing' }).execute()
    minutes += 32 * 24 * 60
    listed = many('OUTAGE', 600)
    const missed = Array.from(
      { length: 150 },
      (_, index) => `OUTAGE/run9100${String(index).padStart(3, '0')}.mid.gz`,
    )
    listed = [...listed, ...missed]
    for (const key of missed) storedAt.set(key, new Date(Date.now() + 60 * MINUTE_MS))
    expect(await listing('OUTAGE/')).toMatchObject({ announced: 150, history: 0, held: [{ objects: 450 }] })
    expect(await alerts()).toEqual(['tag-not-adopted OUTAGE'])
  })

  test('are due without messages after a time was set, and a run dropped meanwhile comes before the rest', async () => {
    listed = many('LATER', 10_000)
    await listing('LATER/')
    await asEpisodes(context.database)
    expect(await heldTags(context.database, '*')).toContain('LATER')
    await takeOver('LATER', TAKEN_OVER)
    expect(await heldTags(context.database, '*')).not.toContain('LATER')
    await asEpisodes(context.database)
    expect(await openAlerts(context.database, ['LATER'], 10)).toEqual([])
    expect(await listing('LATER/')).toMatchObject({ announced: 10_000, history: 10_000, held: [] })
    expect(await context.drain('runs')).toEqual([])
    listed = []
    const key = 'LATER/run20001.mid.gz'
    const live = await stored(key, null)
    const controller = new AbortController()
    let before = 0
    beforeHead = async (asks) => {
      if (asks === key) {
        before = asked.length
        controller.abort()
      } else if (asked.length === 3) await recordArrivals(context.database, [live], context.now())
    }
    await beat(controller.signal)
    // The third object of history was being asked about when the live run arrived.
    expect(before).toBe(4)
  })
})

describe('history', () => {
  const OLD_KEYS = ['OLD/run00001.mid.gz', 'OLD/run00002.mid.gz', 'OLD/run00003.mid.gz'] as const

  test('is catalogued without requests and with two alerts for all, and adopted on purpose', async () => {
    for (const [seed, key] of OLD_KEYS.entries()) await stored(key, OLD, seed)
    await stored('OLD/run00009.mid.gz', null)
    for (const key of ['OLD/run00004.mid.gz', 'OLD/Run00005.mid.gz']) {
      storedAt.set(key, OLD)
      await context.put(key, 'not a run')
    }
    await takeOver('OLD', TAKEN_OVER)
    expect(await listing('OLD/')).toMatchObject({ announced: 6, history: 5 })
    expect(await alerts()).toEqual(['history-found OLD'])
    await beat()
    expect((await arrivals('OLD/')).map(({ state }) => state).toSorted()).toEqual([
      'done',
      'done',
      'done',
      'done',
      'invalid',
      'invalid',
    ])
    expect((await runsOf('OLD')).map(({ runNumber, isHistory }) => [runNumber, isHistory])).toEqual([
      [1, true],
      [2, true],
      [3, true],
      [9, false],
    ])
    // Only the new run has requests.
    expect((await context.drain('reco-requests')).map((request) => request.runNumber)).toEqual([9])
    expect((await context.drain('tape-requests')).map((request) => request.runNumber)).toEqual([9])
    await listing('OLD/')
    await listing('OLD/')
    const summaries = await drainRaised(context)
    expect(summaries).toMatchObject([
      {
        rule: 'history-catalogued',
        severity: 'info',
        summary: expect.stringContaining('all 5 objects of OLD'),
      },
    ])
    expect(summaries[0]?.summary).toContain('2 invalid, 0 not readable yet, 0 files incomplete')
    await requestCopies()
    expect((await requestedOf('OLD')).map(({ runNumber }) => runNumber)).toEqual([9])

    expect(await planAdoption(context, 'OLD', FROM_THE_BEGINNING, signal)).toEqual({
      before: { known: 0, unknown: 0 },
      after: { known: 6, unknown: 0 },
      adopted: 3,
    })
    await takeOver('OLD', FROM_THE_BEGINNING)
    await reconcileBeat()
    expect((await runsOf('OLD')).every(({ isHistory }) => !isHistory)).toBe(true)
    minutes += 1
    await beat()
    const recos = (await context.drain('reco-requests')).filter(({ tag }) => tag === 'OLD')
    expect(recos.map(({ runNumber }) => runNumber)).toEqual([1, 2, 3])
    await requestCopies()
    expect((await requestedOf('OLD')).map(({ runNumber, priority }) => [runNumber, priority])).toEqual([
      [9, 'backlog'],
      [1, 'backlog'],
      [2, 'backlog'],
      [3, 'backlog'],
    ])
  })

  test('is what is older than the time of all other tags where a tag has none of its own', async () => {
    await takeOver(OTHER_TAGS, TAKEN_OVER)
    await takeOver('MINE', FROM_THE_BEGINNING)
    await stored('OTHER/run00001.mid.gz', OLD, 11)
    await stored('MINE/run00001.mid.gz', OLD, 12)
    expect(await listing('')).toMatchObject({ held: [] })
    await beat()
    expect(await runsOf('OTHER')).toMatchObject([{ isHistory: true }])
    expect(await runsOf('MINE')).toMatchObject([{ isHistory: false }])
  })

  test('ends when the object is put again, or when a person replays it', async () => {
    await takeOver('AGAIN', TAKEN_OVER)
    const keys = ['AGAIN/run00001.mid.gz', 'AGAIN/run00002.mid.gz'] as const
    for (const [seed, key] of keys.entries()) await stored(key, OLD, 20 + seed)
    await listing('AGAIN/')
    await beat()
    expect((await runsOf('AGAIN')).map(({ isHistory }) => isHistory)).toEqual([true, true])
    storedAt.delete(keys[0])
    await processArrival(context, await stored(keys[0], null, 30), signal, context.log)
    const plan = await planReplay(context, { by: 'key', bucket: context.bucket, key: keys[1] }, signal)
    await replay(context, plan, signal)
    await beat()
    expect((await runsOf('AGAIN')).map(({ isHistory }) => isHistory)).toEqual([false, false])
    const requests = await context.drain('tape-requests')
    expect(requests.map(({ runNumber, priority }) => [runNumber, priority])).toEqual([
      [1, 'live'],
      [2, 'backlog'],
    ])
  })

  test('with the same bytes under two tags is counted in the summary and raises no alert of its own', async () => {
    for (const tag of ['TWINA', 'TWINB']) {
      await takeOver(tag, TAKEN_OVER)
      for (const run of [1, 2]) await stored(`${tag}/run0000${run}.mid.gz`, OLD, 70 + run)
    }
    await listing('TWIN')
    await beat()
    await listing('TWIN')
    const found = await drainRaised(context)
    expect(found.filter(({ rule }) => !String(rule).startsWith('history-'))).toEqual([])
    const summary = found.find(({ rule, tag }) => rule === 'history-catalogued' && tag === 'TWINB')?.summary
    expect(summary).toContain('2 with the bytes of another run')
  })

  test('of which an object cannot be read is counted in the summary and raises no alert of its own', async () => {
    await takeOver('BAD', TAKEN_OVER)
    await stored('BAD/run00001.mid.gz', OLD, 40)
    await listing('BAD/')
    beforeHead = () => Promise.reject(new Error('refused'))
    for (let attempt = 0; attempt < 6; attempt++) {
      await beat()
      minutes += 60
    }
    expect(await arrivals('BAD/')).toMatchObject([{ state: 'failed', attempts: 6 }])
    await listing('BAD/')
    const found = await drainRaised(context)
    expect(found.filter(({ tag }) => tag === 'BAD').map(({ rule }) => rule)).toEqual([
      'history-found',
      'history-catalogued',
    ])
    expect(found.at(-1)?.summary).toContain('1 not readable yet')
    expect(await findRuns(context.database, { tag: 'BAD', runNumber: 1 })).toEqual([])
  })
})

test('history that came as notifications only has its summary after the next listing', async () => {
  await takeOver('NOTIFIED', TAKEN_OVER)
  const arrival = await stored('NOTIFIED/run00001.mid.gz', OLD)
  // The function came to it only after the tag had been taken over.
  await recordArrivals(context.database, [arrival], OLD)
  expect(await processArrival(context, arrival, signal, context.log)).toBe('catalogued')
  await listing('ELSEWHERE/')
  expect(await alerts()).toEqual(['history-catalogued NOTIFIED', 'history-found NOTIFIED'])
  await listing('ELSEWHERE/')
  expect(await alerts()).toEqual([])
})

describe('an adoption', () => {
  const alertNames = async () => {
    const rows = await context.database
      .selectFrom('outbox')
      .select('name')
      .where('name', 'like', 'alert:history%')
      .execute()
    return rows.map(({ name }) => name).toSorted()
  }
  const historyOf = async (tag: string) =>
    (await historyByTag(context.database)).filter((history) => history.tag === tag)
  async function oldFiles(tag: string) {
    for (const run of [1, 2]) await stored(`${tag}/run0000${run}.mid.gz`, OLD, 80 + run)
    storedAt.set(`${tag}/run00004.mid.gz`, OLD)
    await context.put(`${tag}/run00004.mid.gz`, 'not a run')
    await takeOver(tag, TAKEN_OVER)
  }

  for (const read of [false, true])
    test(`leaves nothing marked as history that ${read ? 'was' : 'is to be'} read, and reports no history of it`, async () => {
      const tag = `ADOPTED${String(read).toUpperCase()}`
      await oldFiles(tag)
      await listing(`${tag}/`)
      if (read) await beat()
      const before = await alertNames()
      await takeOver(tag, FROM_THE_BEGINNING)
      await reconcileBeat()
      expect(await historyOf(tag)).toEqual([])
      expect((await arrivals(`${tag}/`)).some(({ isHistory }) => isHistory)).toBe(false)
      await beat()
      await listing(`${tag}/`)
      expect(await alertNames()).toEqual(before)
      expect((await runsOf(tag)).map(({ isHistory }) => isHistory)).toEqual([false, false])
    })

  test('to a later time ends with one summary, and then nothing is counted again', async () => {
    await oldFiles('OPEN')
    await listing('OPEN/')
    const later = new Date(TAKEN_OVER.getTime() + 86_400_000)
    await takeOver('OPEN', later)
    await beat()
    const counts: string[] = []
    const counting = {
      ...context,
      log: { ...context.log, info: (_: object, event: string) => counts.push(event) } as never,
    }
    for (let time = 0; time < 3; time++)
      await reconcile(counting, { bucket: context.bucket, prefix: 'OPEN/', graceSeconds: 0 }, signal)
    expect(counts.filter((event) => event === 'history-catalogued')).toHaveLength(1)
    expect(await alertNames()).toEqual([
      `alert:history-catalogued:OPEN:${later.toISOString()}`,
      `alert:history-found:OPEN:${TAKEN_OVER.toISOString()}`,
      `alert:history-found:OPEN:${later.toISOString()}`,
    ])
  })

  test('of one run that fails does not prevent that of the runs behind it', async () => {
    await oldFiles('FAILING')
    await listing('FAILING/')
    await beat()
    await takeOver('FAILING', FROM_THE_BEGINNING)
    await sql`CREATE TRIGGER failing_run BEFORE UPDATE ON runs FOR EACH ROW
      IF NEW.tag = 'FAILING' AND NEW.run_number = 1 THEN SIGNAL SQLSTATE '45000'; END IF`.execute(
      context.database,
    )
    try {
      expect(await releaseHistory(context, signal)).toEqual({ adopted: 1, failed: 1 })
    } finally {
      await sql`DROP TRIGGER failing_run`.execute(context.database)
    }
    expect((await runsOf('FAILING')).map(({ isHistory }) => isHistory)).toEqual([true, false])
    expect(await releaseHistory(context, signal)).toEqual({ adopted: 1, failed: 0 })
  })
})

test('an abandoned live arrival and a request left behind do not wait until all history is read', async () => {
  await takeOver('WAIT', TAKEN_OVER)
  listed = many('WAIT', 30)
  await listing('WAIT/')
  listed = []
  const key = 'WAIT/run20001.mid.gz'
  const live = await stored(key, null, 33)
  const requestOf = () =>
    context.database
      .selectFrom('outbox')
      .select('sentAt')
      .where('name', '=', 'left-behind')
      .executeTakeFirstOrThrow()
  const controller = new AbortController()
  let before = 0
  beforeHead = async (asks) => {
    if (asks === key) {
      before ||= asked.length
      return
    }
    if (asked.length === 8) controller.abort()
    if (asked.length !== 3) return
    // The function that read it was killed, as was one that had a request to send.
    const past = new Date(Date.now() - MINUTE_MS)
    await recordArrivals(context.database, [live], past)
    const abandoned = { state: 'processing' as const, attempts: 1, leaseOwner: 'dead', leaseUntil: past }
    await context.database.updateTable('arrivals').set(abandoned).where('objectKey', '=', key).execute()
    const request = { name: 'left-behind', queue: 'alerts', body: '{}', runId: null, createdAt: past }
    await context.database.insertInto('outbox').values(request).execute()
  }
  await beat(controller.signal)
  expect(before).toBe(4)
  expect((await requestOf()).sentAt).not.toBeNull()
})

describe('what is new stays new', () => {
  test('when a live run is read again after a later time was set, and its damage is alerted', async () => {
    const key = 'LIVE/run00001.mid.gz'
    await processArrival(context, await stored(key, null, 50), signal, context.log)
    await drainRaised(context)
    await takeOver('LIVE', new Date(Date.now() + 5000))
    // The store has lost it for a moment, and shows it again with a damaged byte.
    await context.database
      .updateTable('replicas')
      .set({ state: 'missing' })
      .where('objectKey', '=', key)
      .execute()
    flipStoredByte(context.bucket, key, 4)
    expect(await planAdoption(context, 'LIVE', new Date(Date.now() + 5000), signal)).toMatchObject({
      before: { known: 0, unknown: 0 },
      after: { known: 1, unknown: 0 },
    })
    expect(await listing('LIVE/')).toMatchObject({ announced: 1, history: 0 })
    await beat()
    expect(await runsOf('LIVE')).toMatchObject([{ isHistory: false }])
    expect(await arrivals('LIVE/')).toMatchObject([{ isHistory: false }])
    expect(await alerts()).toContain('last-copy-in-danger LIVE')
  })

  test('when an unreadable file replaces a live one and nobody was notified', async () => {
    const key = 'LOST/run00001.mid.gz'
    await processArrival(context, await stored(key, null, 51), signal, context.log)
    await drainRaised(context)
    await takeOver('LOST', new Date(Date.now() + 5000))
    await context.put(key, 'not a run')
    await listing('LOST/')
    await beat()
    expect(await alerts()).toContain('invalid-file LOST')
  })

  for (const first of ['old', 'new'] as const)
    test(`as a whole when a run was being taken at the take-over time and its ${first} subrun is read first`, async () => {
      const tag = `DURING${first.toUpperCase()}`
      await takeOver(tag, TAKEN_OVER)
      const put = async (subrun: number, minutesAfter: number) => {
        const key = `${tag}/run00050sub000${subrun}.mid.gz`
        storedAt.set(key, new Date(TAKEN_OVER.getTime() + minutesAfter * MINUTE_MS))
        const file = { runNumber: 50, subruns: 2, seed: 60, camera: 32, events: 24, digitizers: false }
        return await context.put(key, await runFileBytes(file, subrun))
      }
      const arrived = [await put(0, -10), await put(1, 10)]
      for (const arrival of first === 'old' ? arrived : arrived.toReversed())
        await processArrival(context, { ...arrival, source: 'reconcile' }, signal, context.log)
      expect(await runsOf(tag)).toMatchObject([{ isHistory: false, fileCount: 2 }])
      expect((await arrivals(`${tag}/`)).map(({ isHistory }) => isHistory)).toEqual([false, false])
      const recos = await context.drain('reco-requests')
      expect(recos.at(-1)).toMatchObject({ tag, runNumber: 50 })
      await requestCopies()
      expect((await requestedOf(tag)).length).toBe(2)
    })
})

test('a time that is to be kept is set once, and a time without fractions of a second', async () => {
  const set = (since: string, keep: boolean) =>
    setTakeOver(context.database, OTHER_TAGS, new Date(since), { at: context.now(), keep })
  const times = async () => (await listTakeOvers(context.database)).map(({ since }) => since.toISOString())
  await set('2026-03-01T10:00:00.900Z', true)
  await set('2026-04-01T10:00:00Z', true)
  expect(await times()).toEqual(['2026-03-01T10:00:00.000Z'])
  await set('2026-04-01T10:00:00Z', false)
  expect(await times()).toEqual(['2026-04-01T10:00:00.000Z'])
})

test('an object of which the store states no time is new', async () => {
  await takeOver('UNKNOWN', TAKEN_OVER)
  expect(await isOlderThanTakeOver(context.database, { tag: 'UNKNOWN', at: new Date(0) })).toBe(false)
  expect(await isOlderThanTakeOver(context.database, { tag: 'UNKNOWN', at: null })).toBe(false)
  expect(await isOlderThanTakeOver(context.database, { tag: 'UNKNOWN', at: OLD })).toBe(true)
})
