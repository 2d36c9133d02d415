/**
 * What Now is made from: which run is the last, what counts as catalogued lately, how long files wait, which
 * copies fail.
 */
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { setTakeOver } from '../../../shared/catalogue/take-over.ts'
import type { FileMetadata } from '../../../shared/extraction/metadata.ts'
import { openArrivals } from '../../../shared/queries/open-arrivals.ts'
import { isFailingCopy, openCopies, siteStates } from '../../../shared/queries/site-state.ts'
import { oldestMessages } from '../../../shared/queries/waiting-work.ts'
import {
  copyToTape,
  leaseOn,
  record,
  startTestCatalogue,
  type TestCatalogue,
} from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())
afterEach(async () => {
  for (const table of ['run_history', 'replicas', 'outbox', 'run_files', 'arrivals', 'Runlog', 'runs'])
    await sql`DELETE FROM ${sql.table(table)}`.execute(catalogue.database.withoutPlugins())
})

const HOUR_MS = 3_600_000
const hoursAgo = (hours: number) => new Date(Date.now() - HOUR_MS * hours)
const seconds = (at: Date) => Math.floor(at.getTime() / 1000)
const times = () => ({ since: hoursAgo(24), onTapeBefore: hoursAgo(24), now: new Date() })
const site = async (tag = 'LNGS') => {
  const { sites } = await siteStates(catalogue.database, '*', times())
  return sites.find((each) => each.tag === tag)
}

async function make(
  runNumber: number,
  begin: Date,
  changes: Partial<FileMetadata> = {},
  tag = 'LNGS',
): Promise<void> {
  const startedAt = seconds(begin)
  const metadata = metadataOf(
    runNumber,
    { startedAt, stoppedAt: startedAt + 60, ...changes },
    `${tag} ${runNumber}`,
  )
  await record(
    catalogue.database,
    versionOf(`${tag}/run${runNumber}.mid.gz`, `${tag}-${runNumber}`),
    metadata,
    { tag },
  )
}

const setRun = (
  runNumber: number,
  values: { readonly startedAt?: Date | null; readonly cataloguedAt?: Date },
) => catalogue.database.updateTable('runs').set(values).where('runNumber', '=', runNumber).execute()

describe('the last run of a site', () => {
  test('is the one that began last, whatever the numbers: one was mistyped, or the counter began anew', async () => {
    await make(1_234_567, hoursAgo(24 * 1073))
    await make(30_000, hoursAgo(2))
    await make(30_001, hoursAgo(1))
    expect((await site())?.last).toMatchObject({ run: { runNumber: 30_001 }, isBegin: true })
  })

  test('without a begin counts by when it was catalogued', async () => {
    await make(1, hoursAgo(5))
    await make(2, hoursAgo(400))
    await setRun(2, { startedAt: null })
    const { last } = (await site()) ?? {}
    expect(last).toMatchObject({ run: { runNumber: 2 }, isBegin: false })
    expect(last?.at).toEqual(last?.run.cataloguedAt)
    await setRun(2, { cataloguedAt: hoursAgo(6) })
    expect((await site())?.last.run.runNumber).toBe(1)
  })

  test('is not pinned by a clock that was wrong', async () => {
    await make(1, hoursAgo(-24 * 365))
    await setRun(1, { cataloguedAt: hoursAgo(3) })
    await make(2, hoursAgo(1))
    expect((await site())?.last.run.runNumber).toBe(2)
  })

  test('is a use of its number that counts', async () => {
    await make(1, hoursAgo(9))
    await make(2, hoursAgo(1))
    await catalogue.database
      .updateTable('runs')
      .set({ isCurrent: false })
      .where('runNumber', '=', 2)
      .execute()
    expect((await site())?.last.run.runNumber).toBe(1)
  })

  test('is returned for every visible tag', async () => {
    await make(1, hoursAgo(9))
    await make(2, hoursAgo(9), {}, 'LNF')
    const { database } = catalogue
    const tagsOf = async (tags: '*' | readonly string[]) =>
      (await siteStates(database, tags, times())).sites.map(({ tag }) => tag)
    expect(await tagsOf('*')).toEqual(['LNF', 'LNGS'])
    expect(await tagsOf(['LNF', 'none'])).toEqual(['LNF'])
    expect(await tagsOf([])).toEqual([])
  })
})

describe('a run of the last week that has ended and has no file', () => {
  const log = (runNumber: number, hoursBefore: number, stop: number | null) =>
    sql`INSERT INTO runs (tag, run_number, started_epoch, is_current, integrity, started_at, stopped_at, parameters, catalogued_at, updated_at)
      VALUES ('LNGS', ${runNumber}, ${runNumber}, 1, 'unstated', ${hoursAgo(hoursBefore)}, ${stop === null ? null : hoursAgo(stop)},
        '{}', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))`.execute(catalogue.database)
  const ends = async () =>
    (await site())?.awaited.map((at) => Math.round((Date.now() - at.getTime()) / HOUR_MS))

  test('is awaited since its end, or since the next one began; one in progress is not', async () => {
    await log(1, 24 * 8, 24 * 8 - 1)
    await log(2, 9, 8)
    await log(3, 7, null)
    await make(4, hoursAgo(5))
    await log(5, 2, null)
    expect(await ends()).toEqual([8, 5])
  })

  test('is not awaited if it began before the take-over time of its tag', async () => {
    await log(1, 9, 8)
    await log(2, 7, 6)
    await setTakeOver(catalogue.database, 'LNGS', hoursAgo(7.5), { at: new Date() })
    expect(await ends()).toEqual([6])
    await sql`DELETE FROM take_overs WHERE tag = 'LNGS'`.execute(catalogue.database)
  })
})

describe('runs of the last day', () => {
  const broken = {
    complete: false,
    problem: { code: 'truncated', message: 'it ends in the middle', offset: 1 },
  } as const

  test('are those catalogued in it, also what was uploaded late or has no time of its own', async () => {
    await make(1, hoursAgo(24 * 30), broken)
    await make(2, hoursAgo(1))
    await make(3, hoursAgo(2), broken)
    await setRun(3, { startedAt: null })
    expect((await site())?.recent).toMatchObject({ runs: 3, withProblem: 2, atLeast: false })
  })

  test('are not those that were catalogued before it', async () => {
    await make(1, hoursAgo(1), broken)
    await setRun(1, { cataloguedAt: hoursAgo(25) })
    expect((await site())?.recent).toEqual({ runs: 0, withProblem: 0, sizeBytes: 0, atLeast: false })
  })
})

describe('files that wait', () => {
  const setArrivals = (values: {
    readonly state?: 'received' | 'processing' | 'failed'
    readonly receivedAt?: Date
    readonly announcedAt?: Date
    readonly attempts?: number
    readonly reason?: string | null
  }) => catalogue.database.updateTable('arrivals').set(values).execute()
  const waiting = async () =>
    (await openArrivals(catalogue.database, hoursAgo(24))).byTag.get('LNGS')?.arriving

  test('wait since they were received, even if they are announced again while not processed', async () => {
    await leaseOn(catalogue.database, versionOf('LNGS/run1.mid.gz', 'a'))
    const received = hoursAgo(5)
    await setArrivals({ state: 'received', receivedAt: received, announcedAt: hoursAgo(0), attempts: 0 })
    expect((await waiting())?.oldest).toEqual(received)
    await setArrivals({ attempts: 2, reason: 'the store did not answer' })
    expect((await waiting())?.oldest).toEqual(received)
  })

  test('wait since they were announced again, when they are read once more after they were done', async () => {
    await leaseOn(catalogue.database, versionOf('LNGS/run1.mid.gz', 'a'))
    const announced = hoursAgo(1)
    const again = { receivedAt: hoursAgo(500), announcedAt: announced }
    await setArrivals({ state: 'received', attempts: 0, reason: 'to be replayed', ...again })
    expect((await waiting())?.oldest).toEqual(announced)
    await setArrivals({ state: 'processing', attempts: 1, reason: null })
    expect((await waiting())?.oldest).toEqual(announced)
  })

  test('of a tag without a run are reported as well, and without a tag to callers who may see all', async () => {
    const { database } = catalogue
    await leaseOn(database, versionOf('NEW/run1.mid.gz', 'a'))
    await leaseOn(database, versionOf('Run7.mid.gz', 'b'))
    const elsewhere = async (tags: '*' | readonly string[]) =>
      (await siteStates(database, tags, times())).elsewhere
    expect((await elsewhere('*')).map(({ tag, arriving }) => [tag, arriving.count])).toEqual(
      expect.arrayContaining([
        ['NEW', 1],
        [null, 1],
      ]),
    )
    expect((await elsewhere(['NEW'])).map(({ tag }) => tag)).toEqual(['NEW'])
    expect(await elsewhere(['LNGS'])).toEqual([])
  })
})

describe('copies in progress', () => {
  const setCopy = (values: {
    readonly state: 'requested' | 'copying' | 'failed'
    readonly attempts: number
    readonly lastError: string | null
  }) => {
    const states = { requested: 'waiting', copying: 'running', failed: 'failing' } as const
    return Promise.all([
      catalogue.database
        .updateTable('tasks')
        .set({ ...values, state: states[values.state] })
        .execute(),
      catalogue.database
        .updateTable('replicas')
        .set({ state: 'planned' })
        .where('kind', '=', 'tape')
        .execute(),
    ])
  }

  test.each([
    ['requested', 0, null, 0],
    ['requested', 2, 'the endpoint answered 507', 1],
    // It waits for another that writes the same, which is no try.
    ['requested', 0, 'another is just writing it', 0],
    // The first try, which is under way, after the wish was moved aside.
    ['copying', 1, 'the name is taken', 0],
    ['copying', 2, 'the endpoint answered 507', 1],
    // Told as failed already.
    ['failed', 6, 'the endpoint answered 507', 0],
  ] as const)(
    '%s after %i tries with the error %j: %i fail so far',
    async (state, attempts, error, failing) => {
      await make(1, hoursAgo(1))
      await copyToTape(catalogue.database, 1)
      await setCopy({ state, attempts, lastError: error })
      const [row] = await openCopies(catalogue.database, '*')
      expect(row).toMatchObject({
        kind: 'tape',
        state,
        count: 1,
        failing,
        lastError: failing === 1 || state === 'failed' ? error : null,
      })
      const copy = await catalogue.database
        .selectFrom('copies')
        .selectAll()
        .where('kind', '=', 'tape')
        .executeTakeFirstOrThrow()
      expect(isFailingCopy(copy)).toBe(failing === 1)
    },
  )
})

describe('messages', () => {
  test('wait at least since as many were sent last; unsent requests are not included', async () => {
    const sent = [50, 40, 30, 20, 10].map((minutes, index) => ({
      name: String(index),
      queue: 'alerts',
      body: '{}',
      runId: null,
      createdAt: hoursAgo(9),
      sentAt: hoursAgo(minutes / 60),
    }))
    await catalogue.database.insertInto('outbox').values(sent).execute()
    const oldest = async (count: number, queue: 'alerts' | 'runs' = 'alerts') =>
      (await oldestMessages(catalogue.database, new Map([[queue, count]]))).get(queue)
    expect(await oldest(1)).toEqual(sent[4]?.sentAt)
    expect(await oldest(3)).toEqual(sent[2]?.sentAt)
    expect(await oldest(100)).toEqual(sent[0]?.sentAt)
    expect(await oldest(0)).toBeUndefined()
    expect(await oldest(3, 'runs')).toBeUndefined()
  })
})
