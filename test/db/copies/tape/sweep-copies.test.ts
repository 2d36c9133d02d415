/** What the sweep requests again, and which late copies it alerts. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyReplica } from '../../../../shared/copies/verify/verify.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../../support/copies/tape-world.ts'
import { DAY_MS, removeByHand, safeRun } from '../../../support/deletions.ts'

let world: TapeWorld
let context: TapeWorld['context']
let tape: TapeWorld['tape']
let clock: TapeWorld['clock']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context, tape, clock } = world)
})
afterEach(() => world.context.close())

test('a copy that was given up for lack of its source is made after the file was put into the store again', async () => {
  const object = await context.putRun(keyOf(1), 'x')
  // The catalogue's rows are dated by the clock of the machine.
  clock.time = Date.now() - 3_600_000
  await world.request(object)
  await removeByHand(context, keyOf(1))
  expect(await world.copy()).toBe('failed')
  await world.sweep()
  expect(await world.copy()).toBeNull()
  await context.putRun(keyOf(1), 'x')
  clock.time += 3_600_000
  await world.sweep()
  expect(await world.copy()).toBe('on-media')
})

test('every suspicious copy is made again, however many there are', { tags: ['long'] }, async () => {
  const object = await safeRun(context, keyOf(1))
  await world.multiply(object.cloud, 501)
  await world.multiply(object.tape, 501, () => ({ state: 'suspicious' as const }))
  expect((await world.sweep()).renewed).toBe(500)
  expect((await world.sweep()).renewed).toBe(1)
  expect((await world.sweep()).renewed).toBe(0)
})

test('a copy that fails again after it was made raises its alerts again', async () => {
  await world.request(await context.putRun(keyOf(1), 'x'))
  const failSixTimes = async () => {
    tape.fault = 'fails'
    for (let attempt = 0; attempt < 6; attempt++) {
      await context.database.deleteFrom('breakers').execute()
      await world.copy()
      clock.time += 7 * 3_600_000
    }
    tape.fault = null
  }
  await failSixTimes()
  await world.sweep()
  expect((await world.alerts()).sort()).toEqual(['not-on-tape error', 'tape-copy-fails error'])
  await context.database.deleteFrom('breakers').execute()
  expect(await world.copy()).toBe('on-media')
  const [made] = await world.replicas('tape')
  if (made === undefined) throw new Error('no copy')
  rmSync(join(context.tapeFolder, made.name))
  await verifyReplica(context, made.id, { readBack: 'if-needed', secondCheckMs: 1 }, signal, context.log)
  await world.sweep()
  expect(await world.alerts()).toEqual(['copy-missing error'])
  await failSixTimes()
  await world.sweep()
  expect((await world.alerts()).sort()).toEqual(['not-on-tape error', 'tape-copy-fails error'])
})

test('a copy requested at a former endpoint raises no alert for being late', async () => {
  const { tape: made } = await safeRun(context, keyOf(1))
  await world.multiply(made, 3, () => ({ endpoint: 'file:///former', state: 'requested' as const }))
  clock.time += 30 * DAY_MS
  expect(await world.sweep()).toMatchObject({ late: 0 })
})

test('a long backlog that was not started yet raises one alert a day', async () => {
  const { tape: made } = await safeRun(context, keyOf(1))
  await world.multiply(made, 30, () => ({
    state: 'requested' as const,
    priority: 'backlog' as const,
    attempts: 0,
    requestedAt: new Date(clock.time),
  }))
  await world.sweep()
  expect(await world.alerts()).toEqual([])
  clock.time += 30 * DAY_MS
  await world.sweep()
  await world.sweep()
  const alerts = await drainRaised(context)
  expect(alerts).toEqual([
    expect.objectContaining({ rule: 'backlog-not-on-tape', summary: expect.stringContaining('30 files') }),
  ])
})
