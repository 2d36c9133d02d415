/** An object version that is read again and gives other bytes than those that were catalogued of it. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import type { WithTape } from '../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import { verifyReplica } from '../../../shared/copies/verify/verify.ts'
import { processDue } from '../../../shared/ingest/due-arrivals.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import { describeObject } from '../../../shared/storage/objects.ts'
import { drainRaised } from '../../support/alerts.ts'
import { record } from '../../support/catalogue.ts'
import { arrivalOf, signal } from '../../support/context.ts'
import { flipStoredByte } from '../../support/copies/stored-bytes.ts'
import { log } from '../../support/copies/verified-runs.ts'
import { metadataOf } from '../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'
import { copyNext } from '../../support/tape-copies.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => void (await drainRaised(context)))

/** Within the time in the header of gzip: the file can be read all the same. */
const UNNOTICED = 4
/** The magic number of gzip. */
const UNREADABLE = 0

let last = 7000
interface Run {
  readonly key: string
  readonly runNumber: number
  readonly bytes: Uint8Array
}

/** A run in the store and, by default, on tape. `on`: the store as it is seen when it is catalogued. */
async function catalogued({ onTape = true, on = context } = {}): Promise<Run> {
  last += 1
  const run = { key: `LNGS/run0${last}.mid.gz`, runNumber: last }
  const bytes = await runFileBytes({ runNumber: last, camera: 32, events: 12, digitizers: false })
  await context.put(run.key, bytes)
  expect(await process(run, on)).toBe('catalogued')
  const [file] = await filesOf(run)
  if (file === undefined) throw new Error('not catalogued')
  const request = { tag: 'LNGS', runNumber: last, bucket: context.bucket, key: run.key, sha256: file.sha256 }
  if (onTape) {
    await acceptTapeRequest(context as WithTape, { ...request, priority: 'live' })
    expect(await copyNext(on as WithTape, signal, log)).toBe('on-media')
  }
  return { ...run, bytes }
}
const process = ({ key }: Pick<Run, 'key'>, on: TestTapeContext = context) =>
  processArrival(on, arrivalOf(context.bucket, key, null), signal, log)
async function readAgain({ key }: Run, on: TestTapeContext = context) {
  await replay(context, await planReplay(on, { by: 'key', bucket: context.bucket, key }, signal), signal)
  await processDue(on, context.bucket, signal, log)
}
const filesOf = ({ key }: Pick<Run, 'key'>) =>
  context.database.selectFrom('runFiles').selectAll().where('objectKey', '=', key).orderBy('id').execute()
const copyOf = ({ key }: Run, kind: 'cloud' | 'tape' = 'cloud') =>
  context.database
    .selectFrom('replicas')
    .selectAll()
    .where('objectKey', '=', key)
    .where('kind', '=', kind)
    .executeTakeFirstOrThrow()
const verify = async (run: Run, on: TestTapeContext = context) =>
  (await verifyReplica(on, (await copyOf(run)).id, { readBack: 'always', secondCheckMs: 1 }, signal, log))
    ?.outcome
const recall = ({ runNumber }: Run) =>
  requestRecall(context, { runNumber, tag: 'LNGS' }, { days: 1, requestedBy: 'test' }, context.now(), signal)
const remove = ({ key }: Run) =>
  context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
const alerts = async () => (await drainRaised(context)).map(({ rule, severity }) => `${rule} ${severity}`)

/** A store that does not show the object to those who describe it. */
const hiding = ({ key }: Run): TestTapeContext => ({
  ...context,
  s3: {
    config: context.s3.config,
    async send(command: { constructor: { name: string }; input: { Key?: string } }, ...rest: []) {
      if (command.constructor.name === 'HeadObjectCommand' && command.input.Key === key)
        throw Object.assign(new Error('not found'), {
          name: 'NotFound',
          $metadata: { httpStatusCode: 404 },
        })
      return await context.s3.send(command as never, ...rest)
    },
  } as never,
})

describe('an object that rots after its run was copied to tape', () => {
  test.each([
    ['can still be parsed', UNNOTICED],
    ['cannot be parsed', UNREADABLE],
  ])('and %s changes nothing that is catalogued when it is replayed', async (_, at) => {
    const run = await catalogued()
    const [before] = await filesOf(run)
    flipStoredByte(context.bucket, run.key, at)
    await readAgain(run)
    const { cataloguedAt: __, ...same } = before ?? {}
    expect(await filesOf(run)).toEqual([expect.objectContaining(same)])
    expect(await copyOf(run)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
    expect(await copyOf(run, 'tape')).toMatchObject({ state: 'on-media', doubtedEvidence: null })
    const arrival = context.database.selectFrom('arrivals').selectAll().where('objectKey', '=', run.key)
    expect(await arrival.executeTakeFirst()).toMatchObject({
      state: 'done',
      outcome: 'suspicious',
      reason: expect.stringContaining('md5'),
    })
    expect(await alerts()).toEqual(['copy-suspicious error'])
    const shown = await context.database
      .selectFrom('runs')
      .select(['cloud', 'tape'])
      .where('runNumber', '=', run.runNumber)
      .executeTakeFirst()
    expect(shown).toEqual({ cloud: 'suspicious', tape: 'on-media' })

    await expect(recall(run)).rejects.toThrow(
      `aws s3 mv s3://${context.bucket}/${run.key} s3://${context.bucket}/TMP/${run.key}`,
    )
    await remove(run)
    expect(await verify(run)).toBe('missing')
    expect(await alerts()).toEqual(['copy-missing error'])
    expect((await recall(run)).files).toEqual([
      expect.objectContaining({ key: run.key, alreadyThere: false, state: 'requested' }),
    ])
  })

  test('changes nothing that is catalogued when the listing finds it again after it was hidden', async () => {
    const run = await catalogued()
    flipStoredByte(context.bucket, run.key, UNNOTICED)
    expect(await verify(run)).toBe('suspicious')
    expect(await verify(run, hiding(run))).toBe('missing')
    const listing = { bucket: context.bucket, prefix: run.key, graceSeconds: 0 }
    expect((await reconcile(context, listing, signal)).announced).toBe(1)
    await processDue(context, context.bucket, signal, log)
    expect(await filesOf(run)).toEqual([expect.objectContaining({ isLive: true, counts: true })])
    expect(await copyOf(run)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
    // It is not read again and again.
    expect((await reconcile(context, listing, signal)).announced).toBe(0)
  })

  test('gives the catalogue its contents back where the rotten ones were catalogued in their place', async () => {
    const run = await catalogued()
    const [good] = await filesOf(run)
    flipStoredByte(context.bucket, run.key, UNNOTICED)
    const rotten = metadataOf(run.runNumber, { startedAt: good?.startedEpoch ?? null })
    const object = await describeObject(context.s3, { bucket: context.bucket, key: run.key }, signal)
    if (object === null) throw new Error('the object is missing')
    await record(context.database, object, rotten, { integrity: 'mismatch' })
    await readAgain(run)
    expect(await filesOf(run)).toEqual([
      expect.objectContaining({ sha256: good?.sha256, isLive: true, counts: true }),
      expect.objectContaining({ sha256: rotten.checksums.sha256, isLive: false, integrity: 'mismatch' }),
    ])
    expect(await copyOf(run)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
  })

  test('is verified by reading after its good bytes were stored again, which are read at once', async () => {
    const run = await catalogued()
    flipStoredByte(context.bucket, run.key, UNNOTICED)
    expect(await verify(run)).toBe('suspicious')
    // Stores state when they got an object in whole seconds.
    await setTimeout(1100)
    await context.put(run.key, run.bytes)
    const listing = { bucket: context.bucket, prefix: run.key, graceSeconds: 0 }
    expect((await reconcile(context, listing, signal)).announced).toBe(1)
    expect(await process(run)).toBe('catalogued')
    expect(await copyOf(run)).toMatchObject({ state: 'present', doubtedEvidence: null })
    expect((await reconcile(context, listing, signal)).announced).toBe(0)
  })

  test('is read once more, and not again and again, after other wrong bytes were stored in its place', async () => {
    const run = await catalogued()
    flipStoredByte(context.bucket, run.key, UNNOTICED)
    expect(await verify(run)).toBe('suspicious')
    await setTimeout(1100)
    await context.put(run.key, run.bytes)
    flipStoredByte(context.bucket, run.key, UNNOTICED)
    expect(await process(run)).toBe('suspicious')
    expect(await process(run)).toBe('unchanged')
    expect(await copyOf(run)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
  })
})

test('the last verified copy that turns out rotten when it is read again is a page', async () => {
  const run = await catalogued({ onTape: false })
  flipStoredByte(context.bucket, run.key, UNNOTICED)
  await readAgain(run)
  expect(await alerts()).toEqual(['last-copy-in-danger page'])
  expect(await filesOf(run)).toEqual([expect.objectContaining({ isLive: true, integrity: 'verified' })])
})

/**
 * A store that states nothing by which contents can be compared, as for an object sent in parts. `damages`: the
 * bytes change on the way.
 */
const stating = (etag: string, damages: () => boolean, at = UNNOTICED): TestTapeContext => ({
  ...context,
  s3: {
    config: context.s3.config,
    async send(command: { constructor: { name: string }; input: { IfMatch?: string } }, ...rest: []) {
      const kind = command.constructor.name
      if (kind === 'GetObjectCommand') delete command.input.IfMatch
      const answer = (await context.s3.send(command as never, ...rest)) as {
        Body: { transformToByteArray(): Promise<Uint8Array> }
      }
      if (kind === 'HeadObjectCommand') return { ...answer, ETag: etag, Metadata: {} }
      if (kind !== 'GetObjectCommand') return answer
      const body = await answer.Body.transformToByteArray()
      if (damages()) body[at] = (body[at] ?? 0) ^ 0xff
      return { ...answer, ETag: etag, Body: Readable.from([body]) }
    },
  } as never,
})

describe('an object of which nothing states a checksum, read again with other bytes,', () => {
  const ETAG = '"0123456789abcdef0123456789abcdef-3"'

  test('is disputed, with a page; once more, the first reading is the one that was wrong', async () => {
    let isDamaged = true
    const store = stating(ETAG, () => isDamaged)
    const run = await catalogued({ onTape: false, on: store })
    isDamaged = false
    await readAgain(run, store)
    expect((await filesOf(run)).at(-1)).toMatchObject({ isLive: true, integrity: 'mismatch' })
    expect(await alerts()).toEqual(['checksum-mismatch page'])
    await context.drain('tape-requests')
    await readAgain(run, store)
    const md5 = createHash('md5').update(run.bytes).digest('hex')
    expect((await filesOf(run)).at(-1)).toMatchObject({
      isLive: true,
      counts: true,
      integrity: 'unstated',
      md5,
    })
    expect(await copyOf(run)).toMatchObject({ state: 'replaced' })
    expect(await context.drain('tape-requests')).toEqual([expect.objectContaining({ md5 })])
    expect(await alerts()).toEqual([])
    await readAgain(run, store)
    expect((await filesOf(run)).at(-1)).toMatchObject({ isLive: true, integrity: 'unstated', md5 })
  })

  test.each([
    ['its copy on tape', { onTape: true }, false],
    ['a second reading', { onTape: false }, true],
  ])('is suspicious however often it is read, as %s confirms the first reading', async (_, how, twice) => {
    let isDamaged = false
    const store = stating(ETAG, () => isDamaged)
    const run = await catalogued({ ...how, on: store })
    if (twice) await readAgain(run, store)
    isDamaged = true
    for (let times = 0; times < 3; times++) await readAgain(run, store)
    const md5 = createHash('md5').update(run.bytes).digest('hex')
    expect((await filesOf(run)).at(-1)).toMatchObject({ isLive: true, integrity: 'unstated', md5 })
    expect(await copyOf(run)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
    expect(await alerts()).toEqual([how.onTape ? 'copy-suspicious error' : 'last-copy-in-danger page'])
  })
})

test('a catalogued object that cannot be parsed once, with unchanged bytes, is tried again and not suspicious', async () => {
  const run = await catalogued()
  const [file] = await filesOf(run)
  let readings = 0
  const store = stating(`"${file?.etag}"`, () => readings++ === 0, UNREADABLE)
  await readAgain(run, store)
  const arrival = context.database.selectFrom('arrivals').selectAll().where('objectKey', '=', run.key)
  expect(await arrival.executeTakeFirst()).toMatchObject({
    state: 'received',
    reason: expect.stringContaining('these are the bytes that were catalogued'),
  })
  expect(await filesOf(run)).toEqual([expect.objectContaining({ isLive: true, counts: true })])
  expect(await copyOf(run)).toMatchObject({ state: 'present', doubtedEvidence: null })
  expect(await alerts()).toEqual([])
})
