import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../../shared/config/config.ts'
import { cleanPolicy } from '../../../../shared/copies/clean/clean-policy.ts'
import { explainKeptFiles } from '../../../../shared/copies/clean/clean-reasons.ts'
import { type CleanRunsOptions, cleanRuns } from '../../../../shared/copies/clean/clean-runs.ts'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { createDirectoryDriver } from '../../../../shared/tape/directory/directory.ts'
import { alertLines, drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import { insertCopies } from '../../../support/copy-tasks.ts'
import {
  DAY_MS,
  inTwoDays,
  isStored,
  replicaById,
  type SafeRun,
  safeRun,
  tombstonesOf,
  withInterference,
} from '../../../support/deletions.ts'
import { type FaultyTape, faultyTape } from '../../../support/faulty-tape.ts'
import { giveRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let tape: FaultyTape
beforeEach(async () => {
  context = await startTestTapeContext({
    now: inTwoDays,
    driver: (folder) => {
      tape = faultyTape(createDirectoryDriver({ folder }))
      return tape
    },
  })
})
afterEach(() => context.close())

const keyOf = (runNumber: number, tag = 'LNGS') => `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`

/** A run of 1000 bytes that has been in the store for so many days. */
async function aged(runNumber: number, days: number, tag = 'LNGS'): Promise<SafeRun> {
  const run = await safeRun(context, keyOf(runNumber, tag), `${tag} ${runNumber} `.padEnd(1000, '.'))
  await sql`UPDATE replicas SET stored_at = ${new Date(inTwoDays().getTime() - days * DAY_MS)} WHERE id = ${run.cloud.id}`.execute(
    context.database,
  )
  return run
}

function configured(environment: Readonly<Record<string, string>>, on = context): TestTapeContext {
  const config = loadConfig({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    ...environment,
  })
  return { ...on, config }
}

const clean = (on: TestTapeContext, options: Partial<CleanRunsOptions> = {}) =>
  cleanRuns(on, { dryRun: false, now: inTwoDays(), ...options }, signal, context.log)
const numbers = (files: readonly { readonly runNumber: number }[]) => files.map((file) => file.runNumber)
const storedNumbers = async (...runs: readonly SafeRun[]) => {
  const there = await Promise.all(runs.map((run) => isStored(context, run.key)))
  return runs.filter((_, index) => there[index]).map((run) => run.cloud.runNumber)
}

describe('without a policy', () => {
  test('without a policy nothing is ever deleted', async () => {
    const runs = [await aged(1, 5000), await aged(2, 10)]
    expect(await clean(configured({}))).toMatchObject({
      deleted: [],
      refused: [],
      capReached: false,
      storeIsFull: false,
    })
    expect(await storedNumbers(...runs)).toEqual([1, 2])
  })
})

describe('by age', () => {
  const policy = { CYGNET_CLEAN_RUNS_AFTER_DAYS: '30' }

  test('a copy whose deletion was refused while the clock of the database was days ahead is deleted', async () => {
    const run = await aged(1, 40)
    const ahead = { nextAttemptAt: new Date(inTwoDays().getTime() + 2 * 86_400_000) }
    await context.database.updateTable('replicas').set(ahead).where('kind', '=', 'cloud').execute()
    expect(await clean(configured(policy))).toMatchObject({ refused: [] })
    expect(await storedNumbers(run)).toEqual([])
  })

  test('runs older than the policy allows are deleted, and only those', async () => {
    const runs = [await aged(1, 40), await aged(2, 20), await aged(3, 31)]
    const result = await clean(configured(policy))
    expect(numbers(result.deleted)).toEqual([1, 3])
    expect(result).toMatchObject({ deletedBytes: 2000, refused: [], failed: [] })
    expect(await storedNumbers(...runs)).toEqual([2])
    expect(await clean(configured(policy))).toMatchObject({ deleted: [] })
  })

  test('a dry run lists the same files and changes nothing', async () => {
    const run = await aged(1, 40)
    const other = withInterference(configured(policy))
    expect(numbers((await clean(other, { dryRun: true })).deleted)).toEqual([1])
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    expect(await replicaById(context, run.cloud.id)).toMatchObject({
      state: 'present',
      leaseUntil: null,
      nextAttemptAt: null,
    })
    expect(await tombstonesOf(context, run.cloud.id)).toEqual([])
  })

  test('only runs of the given tag are deleted', async () => {
    const runs = [await aged(1, 40), await aged(2, 40, 'LNF')]
    expect(numbers((await clean(configured(policy), { tag: 'LNF' })).deleted)).toEqual([2])
    expect(await storedNumbers(...runs)).toEqual([1])
  })

  test('a run without a copy on tape, or below a protected prefix, is not a candidate', async () => {
    const runs = [await aged(1, 40), await aged(2, 40, 'LAB')]
    await sql`UPDATE replicas SET state = 'planned' WHERE id = ${runs[0]?.tape.id}`.execute(context.database)
    expect(await clean(configured(policy))).toMatchObject({ deleted: [], refused: [] })
    expect(await storedNumbers(...runs)).toEqual([1, 2])
  })

  test('the cleaner stops at its cap with one alert a day, and the next run continues', async () => {
    const runs = [await aged(1, 50), await aged(2, 49), await aged(3, 48)]
    const capped = configured({ ...policy, CYGNET_CLEAN_MOST_RUNS: '1' })
    expect(await clean(capped)).toMatchObject({ capReached: true, deleted: [{ runNumber: 1 }] })
    expect(await clean(capped)).toMatchObject({ capReached: true, deleted: [{ runNumber: 2 }] })
    expect(await clean(capped)).toMatchObject({ capReached: false, deleted: [{ runNumber: 3 }] })
    expect(await storedNumbers(...runs)).toEqual([])
    const alerts = await drainRaised(context)
    expect(alerts.filter((alert) => alert.rule === 'cleaner-cap-reached')).toEqual([
      expect.objectContaining({ severity: 'warning' }),
    ])
    expect((await alertLines(context.database)).slice(-2)).toEqual([
      'raise cleaner-cap-reached',
      'resolve cleaner-cap-reached',
    ])
  })

  test('a run that is refused states why, does not block the others, and is tried again after some hours', async () => {
    const [bad, good] = [await aged(1, 50), await aged(2, 49)]
    rmSync(join(context.tapeFolder, bad.tape.name))
    const result = await clean(configured(policy))
    expect(numbers(result.deleted)).toEqual([2])
    expect(result.refused).toEqual([
      expect.objectContaining({ runNumber: 1, reason: expect.stringContaining('it is missing') }),
    ])
    expect(await storedNumbers(bad, good)).toEqual([1])
    const { nextAttemptAt: again } = await replicaById(context, bad.cloud.id)
    expect(again?.getTime()).toBeGreaterThan(inTwoDays().getTime() + 3_600_000)
  })

  test('the cleaner gives up soon and deletes nothing when the tape endpoint is down', async () => {
    const runs = [
      await aged(1, 50),
      await aged(2, 49),
      await aged(3, 48),
      await aged(4, 47),
      await aged(5, 46),
    ]
    tape.fault = 'down'
    const result = await clean(configured(policy))
    expect(numbers(result.failed)).toEqual([1, 2, 3])
    expect(result.deleted).toEqual([])
    expect(await storedNumbers(...runs)).toEqual([1, 2, 3, 4, 5])
    tape.fault = null
    expect((await clean(configured(policy))).deleted).toHaveLength(5)
  })

  test('two cleaners at once delete every run once', async () => {
    const runs = [await aged(1, 50), await aged(2, 49), await aged(3, 48)]
    const results = await Promise.all([clean(configured(policy)), clean(configured(policy))])
    expect(results.flatMap((result) => numbers(result.deleted)).toSorted()).toEqual([1, 2, 3])
    for (const run of runs) expect(await tombstonesOf(context, run.cloud.id)).toHaveLength(1)
  })

  test('more candidates than one page are all processed', async () => {
    const run = await aged(1, 40)
    // Many runs that are refused: their copies on tape are not what the rows state.
    const template = await replicaById(context, run.cloud.id)
    const copies = Array.from({ length: 450 }, (_, index) => ({
      ...template,
      objectKey: `LNGS/run9${String(index).padStart(5, '0')}.mid.gz`,
    }))
    for (const kind of ['cloud', 'tape'] as const)
      await insertCopies(
        context.database,
        copies.map(({ id: _, ...copy }, index) => ({
          ...copy,
          kind,
          identity: Buffer.from(`${kind}${index}`.padEnd(32)),
          state: kind === 'cloud' ? ('present' as const) : ('on-media' as const),
          endpoint: kind === 'cloud' ? '' : context.tape.endpoint,
          storedAt: new Date(inTwoDays().getTime() - 30.5 * DAY_MS),
        })),
      )
    const result = await clean(configured({ ...policy, CYGNET_CLEAN_MOST_RUNS: '1000' }), { dryRun: true })
    expect(numbers(result.deleted)).toEqual([1])
    expect(result.refused.length).toBe(200)
  })
})

describe('above the high-water mark', () => {
  const policy = {
    CYGNET_CLOUD_CAPACITY_BYTES: '5000',
    CYGNET_CLOUD_HIGH_WATER: '0.7',
    CYGNET_CLOUD_LOW_WATER: '0.5',
  }

  test('above the high-water mark the oldest runs are deleted down to the low-water mark, however young they are', async () => {
    const runs = [await aged(1, 3), await aged(2, 9), await aged(3, 5), await aged(4, 4)]
    const result = await clean(configured(policy))
    expect(numbers(result.deleted)).toEqual([2, 3])
    expect(result.storeIsFull).toBe(false)
    expect(await storedNumbers(...runs)).toEqual([1, 4])
  })

  test('below the high-water mark nothing is deleted', async () => {
    const runs = [await aged(1, 300), await aged(2, 300), await aged(3, 300)]
    expect(await clean(configured(policy))).toMatchObject({ deleted: [] })
    expect(await storedNumbers(...runs)).toEqual([1, 2, 3])
  })

  test('runs stored within a day are kept in a full store, and an alert is raised once a day', async () => {
    const runs = [await aged(1, 0.5), await aged(2, 0.5), await aged(3, 0.5), await aged(4, 0.5)]
    expect(await clean(configured(policy))).toMatchObject({ deleted: [], storeIsFull: true })
    expect(await clean(configured(policy), { dryRun: true })).toMatchObject({ storeIsFull: true })
    await clean(configured(policy))
    expect(await storedNumbers(...runs)).toEqual([1, 2, 3, 4])
    const alerts = await drainRaised(context)
    expect(alerts.filter((alert) => alert.rule === 'store-is-full')).toEqual([
      expect.objectContaining({
        severity: 'error',
        summary: expect.stringContaining('80 % full, above its high-water mark of 70 %'),
      }),
    ])
    const lines = async () =>
      (await alertLines(context.database)).filter((line) => line.includes('store-is-full'))
    const before = await lines()
    await context.database
      .updateTable('replicas')
      .set({ state: 'deleted' })
      .where('kind', '=', 'cloud')
      .execute()
    for (let time = 0; time < 2; time++) await clean(configured(policy))
    expect(await lines()).toEqual([...before, 'resolve store-is-full'])
  })

  const summary = async () =>
    (await drainRaised(context)).find(({ rule }) => rule === 'store-is-full')?.summary

  test('the alert of a full store states the reasons, their counts and an example run', async () => {
    const runs = [await aged(1, 9), await aged(2, 8), await aged(3, 7), await aged(4, 0.5), await aged(5, 6)]
    const set = (run: number, kind: string, values: object) =>
      context.database
        .updateTable('replicas')
        .set(values)
        .where('kind', '=', kind as 'tape')
        .where('runNumber', '=', run)
        .execute()
    await set(1, 'tape', { state: 'planned' })
    await set(2, 'tape', { state: 'planned' })
    await set(3, 'tape', { state: 'suspicious' })
    await set(5, 'cloud', { nextAttemptAt: new Date(inTwoDays().getTime() + 3_600_000) })
    expect(await clean(configured(policy))).toMatchObject({ deleted: [], refused: [], storeIsFull: true })
    expect(await storedNumbers(...runs)).toEqual([1, 2, 3, 4, 5])
    const text = await summary()
    expect(text).toContain('Of its 5 files 2 have no verified copy on tape yet (e.g. run 1 of LNGS)')
    expect(text).toContain('1 have a copy on tape that failed, is missing or suspicious (e.g. run 3 of LNGS)')
    expect(text).toContain(
      '1 were stored within the last day, and are kept whatever is configured (e.g. run 4 of LNGS)',
    )
    expect(text).toContain('1 were refused in the last hours')
    expect(text).not.toContain('recall')
  })

  test('the alert of a full store states that the tape endpoint does not answer', async () => {
    for (const run of [1, 2, 3, 4]) await aged(run, 9)
    tape.fault = 'down'
    await clean(configured(policy))
    tape.fault = null
    expect(await summary()).toContain(
      '3 could not be deleted, e.g. run 1 of LNGS: the endpoint does not answer.',
    )
  })

  test('without a tape endpoint nothing is deleted from a full store', async () => {
    const runs = [await aged(1, 9), await aged(2, 9), await aged(3, 9), await aged(4, 9)]
    const without = { ...configured(policy), tape: null } as unknown as TestTapeContext
    expect(await clean(without)).toMatchObject({ deleted: [], storeIsFull: true })
    expect(await storedNumbers(...runs)).toEqual([1, 2, 3, 4])
    expect(await summary()).toContain('No tape endpoint is configured (CYGNET_TAPE_DRIVER)')
  })
})

describe('a run that was brought back', () => {
  const policy = { CYGNET_CLEAN_RUNS_AFTER_DAYS: '300' }

  async function broughtBack(
    runNumber: number,
    expiresInDays: number,
    changes: Partial<Parameters<typeof giveRecall>[2]> = {},
  ): Promise<SafeRun> {
    const run = await aged(runNumber, 400)
    expect(await deleteCloudCopy(context, run.cloud, 'a test', signal)).toMatchObject({ kind: 'deleted' })
    await context.putRun(run.key, run.bytes)
    await giveRecall(context.database, await replicaById(context, run.cloud.id), {
      state: 'present',
      etag: 'the-etag',
      expiresAt: new Date(inTwoDays().getTime() + expiresInDays * DAY_MS),
      ...changes,
    })
    expect((await replicaById(context, run.cloud.id)).state).toBe('present')
    return run
  }

  test.each([
    ['with a policy under which it is not due', policy],
    ['without any policy', {}],
    ['with room in the store', { CYGNET_CLOUD_CAPACITY_BYTES: '1000000' }],
  ])(
    'a recalled run is deleted again when the recall has expired, not before, %s',
    async (_, environment) => {
      const [wanted, over] = [await broughtBack(1, 1), await broughtBack(2, -0.5)]
      const result = await clean(configured(environment))
      expect(result.deleted).toMatchObject([{ reason: 'brought back from tape, and the recall has expired' }])
      expect(numbers(result.deleted)).toEqual([2])
      expect(await storedNumbers(wanted, over)).toEqual([1])
    },
  )

  test('a recalled run that was dropped anew since counts as new', async () => {
    const run = await broughtBack(1, -3)
    for (const environment of [policy, {}])
      expect(await clean(configured(environment))).toMatchObject({ deleted: [], refused: [] })
    expect(await storedNumbers(run)).toEqual([1])
  })

  test.each<[string, Parameters<typeof broughtBack>[2]]>([
    ['by hand, after its recall had been given up', { state: 'failed' }],
    ['by hand, and recalled while it was there', { etag: null }],
  ])('a run that was put back %s, is kept without a policy', async (_, recall) => {
    const run = await broughtBack(1, -0.5, recall)
    expect(await clean(configured({}))).toMatchObject({ deleted: [], refused: [] })
    expect(await storedNumbers(run)).toEqual([1])
  })

  test('a recalled run is kept when its copy on tape is bad or at another endpoint', async () => {
    const [bad, elsewhere] = [await broughtBack(1, -0.5), await broughtBack(2, -0.5)]
    rmSync(join(context.tapeFolder, bad.tape.name))
    await sql`UPDATE replicas SET endpoint = 'davs://former.example.org/' WHERE id = ${elsewhere.tape.id}`.execute(
      context.database,
    )
    const result = await clean(configured({}))
    expect(result).toMatchObject({
      deleted: [],
      refused: [{ runNumber: 1, reason: expect.stringContaining('it is missing') }],
    })
    expect(await storedNumbers(bad, elsewhere)).toEqual([1, 2])
  })

  test('a run that was in the store all the time when it was recalled is kept without a policy', async () => {
    const run = await aged(1, 40)
    const expiresAt = new Date(inTwoDays().getTime() - DAY_MS)
    await giveRecall(context.database, await replicaById(context, run.cloud.id), {
      state: 'expired',
      expiresAt,
    })
    expect(await clean(configured({}))).toMatchObject({ deleted: [], refused: [] })
    expect(await storedNumbers(run)).toEqual([1])
  })
})

describe('a run that an operator names', () => {
  test('a run that an operator names is deleted whatever its age, without a policy', async () => {
    const runs = [await aged(1, 0), await aged(2, 0)]
    expect(numbers((await clean(configured({}), { run: 1, tag: 'LNGS' })).deleted)).toEqual([1])
    expect(await storedNumbers(...runs)).toEqual([2])
  })

  test('a run that an operator names is kept when a rule forbids its deletion, and the rule is stated', async () => {
    const run = await aged(1, 400)
    rmSync(join(context.tapeFolder, run.tape.name))
    const lab = await aged(2, 400, 'LAB')
    expect((await clean(configured({}), { run: 1 })).refused).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('no copy on tape is verified') }),
    ])
    expect((await clean(configured({}), { run: 2 })).refused).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('protected') }),
    ])
    expect(await storedNumbers(run, lab)).toEqual([1, 2])
  })

  test('a run that an operator names is kept while its object is suspicious or missing, with the reason', async () => {
    const [suspicious, missing] = [await aged(1, 40), await aged(2, 40)]
    const set = (run: SafeRun, state: string) =>
      sql`UPDATE replicas SET state = ${state}, last_error = 'its md5 is another' WHERE id = ${run.cloud.id}`.execute(
        context.database,
      )
    await set(suspicious, 'suspicious')
    await set(missing, 'missing')
    expect(await clean(configured({}), { run: 1 })).toMatchObject({
      deleted: [],
      refused: [{ key: suspicious.key, reason: expect.stringContaining('suspicious (its md5 is another)') }],
    })
    expect(await clean(configured({}), { run: 2 })).toMatchObject({
      refused: [
        { reason: expect.stringContaining('it is missing in the store, and Cygnet did not delete it') },
      ],
    })
    expect(await storedNumbers(suspicious, missing)).toEqual([1, 2])
  })

  test('a run of many files that an operator names is deleted no faster than the cap', async () => {
    const key = (subrun: number) => `LNGS/run00001sub000${subrun}.mid.gz`
    for (const subrun of [0, 1, 2]) await safeRun(context, key(subrun))
    const capped = configured({ CYGNET_CLEAN_MOST_RUNS: '2' })
    expect(await clean(capped, { run: 1 })).toMatchObject({
      capReached: true,
      deleted: [{ key: key(0) }, { key: key(1) }],
    })
    expect(await clean(capped, { run: 1 })).toMatchObject({ capReached: false, deleted: [{ key: key(2) }] })
  })

  test('a run that an operator names must be catalogued, under one tag', async () => {
    await aged(7, 0)
    await aged(7, 0, 'LNF')
    await expect(clean(configured({}), { run: 7 })).rejects.toMatchObject({
      name: 'InvalidInputError',
      message: expect.stringContaining('--tag'),
    })
    await expect(clean(configured({}), { run: 8 })).rejects.toMatchObject({
      message: 'run 8 is not in the catalogue',
    })
  })
})

test('a deletion whose function died is settled first, also without a policy', async () => {
  const run = await aged(1, 40)
  const lost = () => Promise.reject(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }))
  const dying = withInterference(context, { at: 'HeadObjectCommand', nth: 3, act: lost })
  await expect(deleteCloudCopy(dying, run.cloud, 'a test', signal)).rejects.toThrow()
  await sql`UPDATE replicas SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ${run.cloud.id}`.execute(
    context.database,
  )
  expect(numbers((await clean(configured({}))).deleted)).toEqual([1])
  expect((await replicaById(context, run.cloud.id)).state).toBe('deleted')
})

describe('the reasons why files are kept', () => {
  const why = async (environment: Readonly<Record<string, string>>, tag?: string) => {
    const on = configured(environment)
    const found = await explainKeptFiles(on, await cleanPolicy(on), { tag, now: inTwoDays() })
    return {
      ...found,
      reasons: Object.fromEntries(found.reasons.map(({ reason, files }) => [reason, files])),
    }
  }

  test('every kept file has one reason, and each reason its count', async () => {
    await aged(1, 40)
    await aged(2, 2)
    await aged(3, 0.5)
    await aged(4, 40, 'LAB')
    await context.putRun(keyOf(5), 'alone')
    const wanted = await aged(6, 40)
    const expiresAt = new Date(inTwoDays().getTime() + DAY_MS)
    await giveRecall(context.database, await replicaById(context, wanted.cloud.id), {
      state: 'present',
      expiresAt,
    })
    const suspicious = await aged(7, 40)
    await sql`UPDATE replicas SET state = 'suspicious' WHERE id = ${suspicious.cloud.id}`.execute(
      context.database,
    )
    const always = { young: 1, protected: 1, 'not-on-tape': 1, recalled: 1, suspicious: 1 }
    expect(await why({})).toMatchObject({ looked: 7, isAll: true, reasons: { ...always, 'not-due': 2 } })
    expect((await why({ CYGNET_CLEAN_RUNS_AFTER_DAYS: '30' })).reasons).toEqual({
      ...always,
      due: 1,
      'not-due': 1,
    })
    expect((await why({ CYGNET_CLOUD_CAPACITY_BYTES: '5000' })).reasons).toEqual({ ...always, due: 2 })
    expect((await why({}, 'LAB')).reasons).toEqual({ protected: 1 })
  })

  test('the reasons are counted for the oldest files only, however many there are', async () => {
    const run = await aged(1, 40)
    const { id: _, ...template } = await replicaById(context, run.cloud.id)
    const younger = new Date(inTwoDays().getTime() - 20 * DAY_MS)
    const copies = Array.from({ length: 2100 }, (_, index) => ({
      ...template,
      objectKey: keyOf(10_000 + index),
      identity: Buffer.from(`${index}`.padEnd(32)),
      storedAt: younger,
    }))
    await insertCopies(context.database, copies)
    expect(await why({})).toMatchObject({
      looked: 2000,
      isAll: false,
      reasons: { 'not-due': 1, 'not-on-tape': 1999 },
    })
  })
})
