/** Copies to tape under load, with long answers and with wrong requests. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { followCopies } from '../../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { record, runlogRow } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../../support/copies/tape-world.ts'
import type { FaultyTape } from '../../../support/faulty-tape.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { copyNext } from '../../../support/tape-copies.ts'

let world: TapeWorld
let context: TapeWorld['context']
let tape: TapeWorld['tape']
let clock: TapeWorld['clock']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context, tape, clock } = world)
})
afterEach(() => world.context.close())

test('twenty functions at the same time each claim another copy', async () => {
  const [first] = [await context.putRun(keyOf(1), 'x')]
  await world.request(first)
  const [requested] = await world.replicas('tape')
  if (requested === undefined) throw new Error('no request')
  await world.multiply(requested, 500)
  tape.fault = 'down'
  const many = {
    ...context,
    config: { ...context.config, tape: { ...context.config.tape, copiesAtOnce: 100 } },
  }
  const states = await Promise.all(Array.from({ length: 20 }, () => copyNext(many, signal, context.log)))
  expect(new Set(states)).not.toContain('lost')
  const tried = (await world.replicas('tape')).filter(({ lastError }) => lastError !== null)
  expect(tried.length).toBe(states.filter((state) => state !== null).length)
})

test('a copy fails as usual when the endpoint answers with pages of text', async () => {
  await world.request(await context.putRun(keyOf(1), 'x'))
  const wordy = { ...tape, check: () => Promise.reject(new TransientError('no '.repeat(50_000))) }
  expect(await copyNext({ ...context, tape: wordy }, signal, context.log)).toBe('requested')
  expect((await world.replicas('tape'))[0]).toMatchObject({
    state: 'requested',
    attempts: 1,
    leaseOwner: null,
  })
})

test('a copy has the tag and the run number of the catalogue, not those of the message', async () => {
  const object = await context.putRun(keyOf(1), 'x')
  await world.request({ ...object, tag: 'LNF', runNumber: 7 })
  expect((await world.replicas('tape'))[0]).toMatchObject({ tag: 'LNGS', runNumber: 1 })
})

test('a copy that cannot be checked does not delay the others that are followed', async () => {
  tape.asynchronous = true
  for (const number of [1, 2]) {
    await world.request(await context.putRun(keyOf(number), `${number}`))
    expect(await world.copy()).toBe('submitted')
  }
  await tape.work()
  clock.time += 3_600_000
  const check: FaultyTape['check'] = async (file, ...more) => {
    if (file.runNumber === 1) throw new TransientError('no '.repeat(50_000))
    return await tape.check(file, ...more)
  }
  await followCopies({ ...context, tape: { ...tape, check } }, signal, context.log)
  expect((await world.replicas('tape')).map(({ state }) => state)).toEqual(['submitted', 'on-media'])
})

test('the Runlog shows the copies of a run after its contents moved to another generation of the number', async () => {
  const epochs = (startedAt: number) => ({
    startedAt,
    checksums: metadataOf(1, {}, `${startedAt}`).checksums,
  })
  const [undated, later] = [versionOf(keyOf(1), 'a'), versionOf(keyOf(1), 'b')]
  const bucket = context.bucket
  await record(context.database, { ...undated, bucket }, metadataOf(1, epochs(0)))
  const file = await context.database.selectFrom('runFiles').selectAll().executeTakeFirstOrThrow()
  const copy = await acceptTapeRequest(context, {
    tag: 'LNGS',
    runNumber: 1,
    bucket,
    key: keyOf(1),
    sha256: file.sha256,
    priority: 'live',
  })
  await context.database
    .updateTable('replicas')
    .set({ state: 'on-media', verifiedAt: new Date(), verifiedEvidence: 'read', attempts: 0 })
    .where('id', '=', copy.id)
    .execute()
  await record(context.database, { ...later, bucket }, metadataOf(1, epochs(1_700_000_000)))
  await record(context.database, { ...later, etag: 'c', bucket }, metadataOf(1, epochs(1_800_000_000)))
  await record(context.database, { ...undated, bucket }, metadataOf(1, epochs(0)))
  expect(await runlogRow(context.database, 1)).toMatchObject({
    storage_cloud_status: 1,
    storage_tape_status: 1,
  })
})
