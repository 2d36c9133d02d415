import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { claimReplica } from '../../../../shared/catalogue/replica-work.ts'
import type { Context } from '../../../../shared/context.ts'
import { scrub } from '../../../../shared/copies/verify/scrub.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { tapeBreaker } from '../../../../shared/work/breaker.ts'
import { TEST_LEASE_SECONDS } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { log, START, startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'

const DAY = 86_400_000
const DAYS = 90

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns({ CYGNET_SCRUB_DAYS: String(DAYS), CYGNET_SCRUB_BYTES: '1000' })
})
afterAll(() => runs?.context.close())

let run = 100
beforeEach(async () => {
  run += 10
  runs.time = START
  Object.assign(runs.tape, { fault: null, onMedia: true })
  for (const table of ['tombstones', 'tasks', 'replicas', 'breakers'] as const)
    await runs.context.database.deleteFrom(table).execute()
})

const keyOf = (index: number) => `LNGS/run00${run + index}.mid.gz`
const once = (context: Context<'database' | 'queues' | 's3' | 'tape'> = runs.context, stop = signal) =>
  scrub(context, { secondCheckMs: 1 }, stop, log)
const setRow = (
  key: string,
  kind: 'cloud' | 'tape',
  change: { checkedAt?: Date | null; lastError?: string; state?: 'missing' | 'suspicious' },
) =>
  runs.context.database
    .updateTable('replicas')
    .set(change)
    .where('objectKey', '=', key)
    .where('kind', '=', kind)
    .execute()
/** When each copy was checked, in days after the start. */
const checked = async (index: number, kind: 'cloud' | 'tape') =>
  (((await runs.replica(keyOf(index), kind)).checkedAt?.getTime() ?? Number.NaN) - START) / DAY

describe('the scrub', () => {
  test('the scrub verifies copies that were not checked for the configured days, and nothing else', async () => {
    await runs.put(keyOf(0))
    await runs.put(keyOf(1))
    const old = new Date(START - (DAYS + 1) * DAY)
    await setRow(keyOf(0), 'cloud', { checkedAt: old })
    await setRow(keyOf(0), 'tape', { checkedAt: old })
    await setRow(keyOf(1), 'tape', { checkedAt: null })
    runs.time += DAY
    const size = keyOf(0).length
    expect(await once()).toEqual({
      checked: 3,
      verified: 3,
      missing: 0,
      suspicious: 0,
      unknown: 0,
      unproven: 0,
      bytes: 3 * size,
      finished: true,
    })
    expect([await checked(0, 'cloud'), await checked(0, 'tape'), await checked(1, 'tape')]).toEqual([1, 1, 1])
    expect((await runs.replica(keyOf(1), 'cloud')).checkedAt?.getTime()).not.toBe(runs.time)
    expect(await once()).toMatchObject({ checked: 0, finished: true })
  })

  test('the scrub verifies a copy that was checked while the clock of the database was days ahead', async () => {
    await runs.put(keyOf(0), { onTape: false })
    await setRow(keyOf(0), 'cloud', { checkedAt: new Date(START + 3 * DAY) })
    expect(await once()).toMatchObject({ checked: 1, verified: 1, finished: true })
    expect(await checked(0, 'cloud')).toBe(0)
    expect(await once()).toMatchObject({ checked: 0 })
  })

  test('the scrub starts with the copy checked longest ago and ends at its limit of bytes; the next run continues', async () => {
    for (const index of [0, 1, 2]) {
      await runs.put(keyOf(index), { body: `${index}`.repeat(400), onTape: false })
      await setRow(keyOf(index), 'cloud', { checkedAt: new Date(START - (DAYS + index + 1) * DAY) })
    }
    expect(await once()).toMatchObject({ checked: 2, bytes: 800, finished: false })
    expect([await checked(2, 'cloud'), await checked(1, 'cloud')]).toEqual([0, 0])
    expect(await checked(0, 'cloud')).toBeLessThan(-DAYS)
    expect(await once()).toMatchObject({ checked: 1, finished: true })
  })

  test('the scrub reads a file larger than its limit alone', async () => {
    for (const index of [0, 1]) {
      await runs.put(keyOf(index), { body: `${index}`.repeat(3000), onTape: false })
      await setRow(keyOf(index), 'cloud', { checkedAt: new Date(START - 200 * DAY) })
    }
    expect(await once()).toMatchObject({ checked: 1, verified: 1, finished: false })
    expect(await once()).toMatchObject({ checked: 1, verified: 1, finished: true })
  })

  test('the scrub checks missing copies and copies without a result again after a day, but not suspicious ones', async () => {
    for (const index of [0, 1, 2]) await runs.put(keyOf(index))
    const yesterday = new Date(START - 25 * 3_600_000)
    for (const index of [0, 1, 2]) {
      await setRow(keyOf(index), 'cloud', { checkedAt: yesterday })
      await setRow(keyOf(index), 'tape', { checkedAt: yesterday })
    }
    await setRow(keyOf(0), 'cloud', { state: 'missing' })
    await setRow(keyOf(1), 'tape', { lastError: 'the endpoint says no' })
    await setRow(keyOf(2), 'cloud', { state: 'suspicious', lastError: 'other bytes' })
    expect(await once()).toMatchObject({ checked: 2, verified: 2 })
    expect(await runs.replica(keyOf(0), 'cloud')).toMatchObject({ state: 'present' })
    expect(await runs.replica(keyOf(1), 'tape')).toMatchObject({ lastError: null })
    expect(await runs.replica(keyOf(2), 'cloud')).toMatchObject({
      state: 'suspicious',
      checkedAt: yesterday,
    })
  })

  test('an endpoint that does not answer does not prevent the scrub of other places', async () => {
    for (const index of [0, 1, 2, 3, 4]) {
      await runs.put(keyOf(index), { body: 'x' })
      await setRow(keyOf(index), 'tape', { checkedAt: new Date(START - 300 * DAY) })
      await setRow(keyOf(index), 'cloud', { checkedAt: new Date(START - 200 * DAY) })
    }
    runs.tape.fault = 'down'
    expect(await once()).toMatchObject({ checked: 8, verified: 5, unknown: 3, finished: false })
    const tapes = await runs.context.database
      .selectFrom('copies')
      .select('state')
      .where('kind', '=', 'tape')
      .execute()
    expect(new Set(tapes.map(({ state }) => state))).toEqual(new Set(['on-media']))
  })

  test('the scrub skips an endpoint with an open circuit breaker, and one that is not configured', async () => {
    await runs.put(keyOf(0))
    await runs.put(keyOf(1))
    const { database } = runs.context
    await database.updateTable('replicas').set({ checkedAt: null }).where('kind', '=', 'tape').execute()
    await database
      .insertInto('breakers')
      .values({
        dependency: tapeBreaker(runs.tape.endpoint),
        failures: 9,
        openSince: new Date(START),
        probeAt: new Date(START + 30_000),
      })
      .onDuplicateKeyUpdate({ failures: 9, openSince: new Date(START), probeAt: new Date(START + 30_000) })
      .execute()
    expect(await once()).toMatchObject({ checked: 0, finished: true })
    await database.deleteFrom('breakers').execute()
    await database
      .updateTable('replicas')
      .set({ endpoint: 'davs://elsewhere' })
      .where('objectKey', '=', keyOf(0))
      .where('kind', '=', 'tape')
      .execute()
    expect(await once()).toMatchObject({ checked: 1, verified: 1 })
    expect(await once({ ...runs.context, tape: null })).toMatchObject({ checked: 0 })
  })

  test('the scrub skips a copy that another function works on', async () => {
    await runs.put(keyOf(0), { onTape: false })
    await setRow(keyOf(0), 'cloud', { checkedAt: null })
    const { id } = await runs.replica(keyOf(0), 'cloud')
    await claimReplica(runs.context.database, id, ['present'], {
      owner: 'the cleaner',
      leaseSeconds: TEST_LEASE_SECONDS,
    })
    expect(await once()).toMatchObject({ checked: 0, finished: true })
  })

  test('the scrub ends at its time limit and continues the next time; a file too large for any run does not block the others', async () => {
    for (const index of [0, 1]) {
      await runs.put(keyOf(index))
      await setRow(keyOf(index), 'tape', { checkedAt: new Date(START - (300 - index) * DAY) })
    }
    const stop = new AbortController()
    const check: typeof runs.tape.check = (file, options, held) =>
      file.name.endsWith(keyOf(0)) ? endsWithTime(stop, held) : runs.tape.check(file, options, held)
    const slow = { ...runs.context, tape: { ...runs.tape, check } }
    expect(await once(slow, stop.signal)).toMatchObject({ checked: 0, finished: false })
    expect(await runs.replica(keyOf(0), 'tape')).toMatchObject({
      state: 'on-media',
      checkedAt: new Date(START),
      lastError: expect.stringContaining('could not be read to its end'),
      leaseOwner: null,
    })
    expect(await once(slow)).toMatchObject({ checked: 1, verified: 1, finished: true })
    runs.time += 2 * DAY
    expect(await once()).toMatchObject({ checked: 1, verified: 1 })
  })
})

function endsWithTime(stop: AbortController, held: AbortSignal): Promise<never> {
  const ended = new Promise<never>((_, reject) =>
    held.addEventListener('abort', () => reject(held.reason as Error)),
  )
  stop.abort(new TransientError('not finished within 900 s'))
  return ended
}
