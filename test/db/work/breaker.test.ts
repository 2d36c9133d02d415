/**
 * Circuit breakers: open after failures in a row, half-open for one probe, alerted once, closed by a success.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { inTransaction } from '../../../shared/database/connect.ts'
import { type ErrorDetails, InvalidInputError, TransientError } from '../../../shared/errors.ts'
import {
  beginProbe,
  blame,
  type Gate,
  lockBreaker,
  noteFailure,
  noteSuccess,
  openBreakers,
} from '../../../shared/work/breaker.ts'
import { alertLines } from '../../support/alerts.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

const NAME = 'tape:davs://tape.example'
const START = new Date('2026-03-01T12:00:00Z').getTime()

let catalogue: TestCatalogue
let time: number
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())
beforeEach(async () => {
  time = START
  for (const table of ['breakers', 'outbox'] as const) await catalogue.database.deleteFrom(table).execute()
})

const at = () => new Date(time)
let tasks = 0
const failure = (
  task: string,
  details: ErrorDetails = {},
  step: 'check' | 'act' = 'act',
  hasFailedBefore = false,
) => {
  const error = new TransientError('no answer', details)
  const noted = { task, hasFailedBefore, step, error, reason: 'no answer', at: at() }
  return noteFailure(catalogue.database, NAME, noted)
}
/** Each failure is of another task. */
const fail = () => failure(`tape-copy:${++tasks}`)
const gate = (name = NAME): Promise<Gate> =>
  inTransaction(catalogue.database, (trx) => lockBreaker(trx, name, at()))
const lines = () => alertLines(catalogue.database)
const alerts = async () => (await lines()).filter((line) => line.startsWith('raise ')).length
const failTimes = async (times: number) => {
  for (let index = 0; index < times; index++) await fail()
}

describe('a circuit breaker', () => {
  test('stays closed after failures that may be due to single files', async () => {
    await failTimes(2)
    expect(await gate()).toBe('closed')
    await noteSuccess(catalogue.database, NAME, 'act', at())
    await failTimes(2)
    expect(await gate()).toBe('closed')
  })

  test('opens at the third failure in a row, for its own dependency only', async () => {
    await failTimes(2)
    expect(await fail()).toMatchObject({ isOpen: true })
    expect(await gate()).toBe('open')
    expect(await openBreakers(catalogue.database, at())).toEqual({ open: [NAME], halfOpen: [] })
    time += 60_000
    expect(await openBreakers(catalogue.database, at())).toEqual({ open: [], halfOpen: [NAME] })
    time -= 60_000
    expect(await gate('tape:davs://another.example')).toBe('closed')
  })

  test('is not opened by one task that always fails, in any order with one other', async () => {
    for (let time = 0; time < 10; time++)
      expect(await failure('tape-copy:1')).toMatchObject({ isOpen: false })
    expect(await failure('tape-copy:2')).toMatchObject({ isOpen: false })
    expect(await failure('tape-copy:1')).toMatchObject({ isOpen: true })
  })

  test('is not opened by tasks that had all failed before, but when other work fails too', async () => {
    const broken = (task: number) => failure(`tape-copy:${task}`, {}, 'act', true)
    for (let task = 1; task <= 6; task++) expect(await broken(task)).toMatchObject({ isOpen: false })
    expect(await failure('tape-copy:7')).toMatchObject({ isOpen: false })
    expect(await broken(1)).toMatchObject({ isOpen: false })
    expect(await broken(2)).toMatchObject({ isOpen: true })
  })

  test('is not opened by one task that is refused access', async () => {
    for (let time = 0; time < 5; time++) {
      const refusal = { error: 'AccessDenied', operator: true }
      expect(await failure('tape-copy:1', refusal)).toMatchObject({ isOpen: false })
    }
  })

  test.each<ErrorDetails>([
    { error: 'ECONNREFUSED' },
    { error: 'ENOTFOUND' },
    { httpStatus: 503 },
    { error: 'InvalidAccessKeyId', operator: true },
    { error: 'NoSuchBucket', operator: true },
  ])('is opened by one task alone when the dependency is unreachable (%o)', async (details) => {
    for (let time = 0; time < 2; time++) await failure('tape-copy:1', details)
    expect(await failure('tape-copy:1', details)).toMatchObject({ isOpen: true })
  })

  test('lets one task probe within a minute, however long it has been open', async () => {
    for (let hour = 0; hour < 5; hour++) {
      await failTimes(4)
      time += 60_000
      expect(await gate()).toBe('half-open')
      time += 3_540_000
    }
  })

  test('that was opened by a clock that was days ahead may be probed, and is alerted, by the right one', async () => {
    time = START + 2 * 86_400_000
    await failTimes(3)
    time = START
    expect(await gate()).toBe('half-open')
    expect(await openBreakers(catalogue.database, at())).toEqual({ open: [], halfOpen: [NAME] })
    await fail()
    expect([await gate(), await alerts()]).toEqual(['open', 0])
    time += 61_000
    await fail()
    expect(await alerts()).toBe(1)
  })

  test('lets only one of many tasks probe', async () => {
    await failTimes(3)
    time += 60_000
    const tries = await Promise.all(
      Array.from({ length: 10 }, () =>
        inTransaction(catalogue.database, async (trx) => {
          const found = await lockBreaker(trx, NAME, at())
          if (found === 'half-open') await beginProbe(trx, NAME, at())
          return found
        }),
      ),
    )
    expect(tries.filter((found) => found === 'half-open')).toHaveLength(1)
    expect(await gate()).toBe('open')
    // The process of the probe has died.
    time += 60_000
    expect(await gate()).toBe('half-open')
  })

  test('that failed side effects opened is closed by a side effect, not by a check, after which the next may probe', async () => {
    await failTimes(3)
    await noteSuccess(catalogue.database, NAME, 'check', at())
    expect(await gate()).toBe('half-open')
    await fail()
    expect(await gate()).toBe('open')
    await noteSuccess(catalogue.database, NAME, 'act', at())
    expect(await gate()).toBe('closed')
  })

  test('that failed checks opened is closed by a successful check', async () => {
    for (const task of ['a', 'b', 'c']) await failure(task, {}, 'check')
    expect(await gate()).toBe('open')
    await noteSuccess(catalogue.database, NAME, 'check', at())
    expect(await gate()).toBe('closed')
  })

  test('is alerted once for each outage of more than a minute, until it closes', async () => {
    await failTimes(3)
    expect(await alerts()).toBe(0)
    for (let minute = 0; minute < 20; minute++) {
      time += 60_000
      await fail()
    }
    expect(await alerts()).toBe(1)
    await noteSuccess(catalogue.database, NAME, 'act', at())
    expect(await gate()).toBe('closed')
    time += 60_000
    await failTimes(3)
    time += 60_000
    await fail()
    expect(await alerts()).toBe(2)
    await noteSuccess(catalogue.database, NAME, 'act', at())
    const about = 'tape-endpoint-fails davs://tape.example'
    expect(await lines()).toEqual([
      `raise ${about}`,
      `resolve ${about}`,
      `raise ${about}`,
      `resolve ${about}`,
    ])
    const bodies = await catalogue.database.selectFrom('outbox').select('body').execute()
    expect(new Set(bodies.map(({ body }) => JSON.parse(body).fingerprint)).size).toBe(1)
  })

  test('whose outage was too short for an alert closes without a word, also if another one is alerted', async () => {
    await failTimes(3)
    await noteSuccess(catalogue.database, NAME, 'act', at())
    expect(await lines()).toEqual([])
    const other = 'store:cygno-data'
    for (const minute of [0, 1, 2, 3]) {
      const error = new TransientError('no answer')
      const failed = { task: `arrival:${minute}`, hasFailedBefore: false, step: 'act', error } as const
      time += 60_000
      await noteFailure(catalogue.database, other, { ...failed, reason: 'no answer', at: at() })
    }
    await failTimes(3)
    await noteSuccess(catalogue.database, NAME, 'act', at())
    expect(await lines()).toEqual(['raise store-fails cygno-data'])
  })

  test('counts concurrent failures of many processes', async () => {
    await Promise.all(Array.from({ length: 10 }, () => fail()))
    const { failures } = await catalogue.database
      .selectFrom('breakers')
      .select('failures')
      .executeTakeFirstOrThrow()
    expect(failures).toBe(10)
  })
})

describe('blame', () => {
  test('attributes an error to a dependency, once', () => {
    const blamed = blame('store:cygno-data', new TransientError('503'))
    expect(blamed).toMatchObject({ message: '503', details: { dependency: 'store:cygno-data' } })
    expect(blame(NAME, blamed)).toBe(blamed)
  })

  test('does not attribute an invalid input to a dependency', () => {
    const error = new InvalidInputError('the bytes are others')
    expect(blame(NAME, error)).toBe(error)
  })
})
