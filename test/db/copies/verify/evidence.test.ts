/** What a weaker finding may change about a copy that stronger evidence contradicts, and what rests on a statement. */
import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import type { LocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import { permitDeletion } from '../../../../shared/copies/delete/permit-deletion.ts'
import { catalogueLinks } from '../../../../shared/copies/links/catalogue-links.ts'
import { checkedLinks } from '../../../../shared/copies/links/checked-links.ts'
import { findFiles } from '../../../../shared/copies/links/find-files.ts'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { alertLateCopies } from '../../../../shared/copies/tape/late-copies.ts'
import { followCopies, type WithTape } from '../../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { scrub } from '../../../../shared/copies/verify/scrub.ts'
import { verifyReplica } from '../../../../shared/copies/verify/verify.ts'
import { up } from '../../../../shared/database/migrations/0002-evidence/0002-evidence.ts'
import type { Replica } from '../../../../shared/database/replica-schema.ts'
import { TransientError } from '../../../../shared/errors.ts'
import type { CheckOptions, TapeCheck } from '../../../../shared/tape/driver.ts'
import { runlogRow } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { useLocalFiles } from '../../../support/copies/local-files.ts'
import { flipStoredByte } from '../../../support/copies/stored-bytes.ts'
import { log } from '../../../support/copies/verified-runs.ts'
import { copyNext } from '../../../support/tape-copies.ts'

const files = useLocalFiles(800)
const DAY_MS = 86_400_000

type Tape = Parameters<typeof permitDeletion>[0]
const verify = async (
  kind: 'cloud' | 'tape',
  readBack: 'always' | 'if-needed' | 'never',
  context: Tape = files.runs.context,
) =>
  await verifyReplica(
    context,
    (await files.runs.replica(files.key, kind)).id,
    { readBack, secondCheckMs: 1 },
    signal,
    log,
  )
const runlog = () => runlogRow(files.runs.context.database, files.run)
const links = async () => {
  const { context } = files.runs
  const found = await findFiles(context.database, { runs: [{ runNumber: files.run, tag: 'LNGS' }] })
  const checked = await checkedLinks(context, found, { seconds: 60 }, new Date(), signal)
  return [...checked, ...(await catalogueLinks(context, found, 60, new Date()))].map(({ kind }) => kind)
}
const withTape = (check: (file: unknown, options: CheckOptions) => Promise<TapeCheck>): Tape => ({
  ...files.runs.context,
  tape: Object.assign(Object.create(files.runs.tape), { check }),
})

test('a copy in the store that a read found rotten stays suspicious until a read agrees, whatever its ETag is', async () => {
  const copy = await files.put()
  flipStoredByte(copy.bucket, copy.key)
  expect(await verify('cloud', 'always')).toMatchObject({ outcome: 'suspicious' })
  for (const readBack of ['if-needed', 'never'] as const) {
    expect(await verify('cloud', readBack)).toMatchObject({
      outcome: 'suspicious',
      bytesRead: 0,
      detail: expect.stringContaining('only reading clears it'),
    })
    expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({
      state: 'suspicious',
      doubtedEvidence: 'read',
    })
    expect((await runlog())?.storage_cloud_status).toBe(-2)
    expect(await permitDeletion(files.runs.context, copy, signal)).toMatchObject({ kind: 'refused' })
    expect(await links()).toEqual(['unavailable', 'unavailable'])
  }
  await expect(
    requestRecall(
      files.runs.context,
      { runNumber: files.run, tag: 'LNGS' },
      { days: 1, requestedBy: 'test' },
      new Date(),
      signal,
    ),
  ).rejects.toThrow('suspicious')

  flipStoredByte(copy.bucket, copy.key)
  expect(await verify('cloud', 'if-needed')).toMatchObject({ outcome: 'suspicious' })
  expect(await verify('cloud', 'always')).toMatchObject({ outcome: 'verified' })
  expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({
    state: 'present',
    verifiedEvidence: 'read',
    doubtedEvidence: null,
    lastError: null,
  })
  expect((await runlog())?.storage_cloud_status).toBe(1)
  expect(await permitDeletion(files.runs.context, copy, signal)).toMatchObject({ kind: 'permitted' })
})

test('a rotten copy that was missing for a time is suspicious when it is there again, and gets no link', async () => {
  const copy = await files.put()
  flipStoredByte(copy.bucket, copy.key)
  await verify('cloud', 'always')
  await files.runs.context.database
    .updateTable('replicas')
    .set({ state: 'missing' })
    .where('kind', '=', 'cloud')
    .where('objectKey', '=', files.key)
    .execute()
  expect((await links())[0]).toBe('unavailable')
  expect(await verify('cloud', 'if-needed')).toMatchObject({ outcome: 'suspicious' })
  expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({ state: 'suspicious' })
})

test('a copy on tape that a read found rotten is read by the scrub, which its stated checksum does not satisfy', async () => {
  await files.put()
  await verify(
    'tape',
    'always',
    withTape(async () => ({ kind: 'different', evidence: 'read', reason: 'rotten' })),
  )
  const asked: unknown[] = []
  const context = withTape(async () => ({
    kind: 'present',
    evidence: 'stored-checksum',
    verifiedBy: 'adler32 stated by the endpoint',
    onMedia: true,
  }))
  const { check } = context.tape as { check: (...about: unknown[]) => unknown }
  Object.assign(context.tape as object, {
    check: (...about: readonly [unknown, unknown]) => {
      asked.push(about[1])
      return check(...about)
    },
  })
  files.runs.time += 400 * DAY_MS
  await scrub(context, { secondCheckMs: 1 }, signal, log)
  expect(asked).toContainEqual(expect.objectContaining({ reference: null, readBack: 'always' }))
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({ state: 'suspicious' })
})

test('the word of a service makes a copy that counts nowhere as verified', async () => {
  const copy = await files.put()
  const database = files.runs.context.database
  await database
    .updateTable('replicas')
    .set({ state: 'missing', verifiedAt: null, verifiedEvidence: null, doubtedEvidence: 'statement' })
    .where('kind', '=', 'tape')
    .where('objectKey', '=', files.key)
    .execute()
  const stated = withTape(async () => ({
    kind: 'present',
    evidence: 'statement',
    verifiedBy: 'a rule is OK',
    onMedia: true,
  }))
  expect(await verify('tape', 'if-needed', stated)).toMatchObject({
    outcome: 'unknown',
    detail: 'only stated, not verified: a rule is OK',
  })
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({
    state: 'on-media',
    verifiedEvidence: 'statement',
  })
  expect((await runlog())?.storage_tape_status).toBe(-1)
  expect(await permitDeletion(stated, copy, signal)).toMatchObject({
    kind: 'refused',
    why: expect.stringContaining('only stated, not verified'),
  })
})

test('a statement does not replace a comparison of checksums', async () => {
  await files.put()
  const before = await files.runs.replica(files.key, 'tape')
  files.runs.time += DAY_MS
  await verify(
    'tape',
    'if-needed',
    withTape(async () => ({
      kind: 'present',
      evidence: 'statement',
      verifiedBy: 'a rule is OK',
      onMedia: true,
    })),
  )
  const { verifiedAt, verifiedBy, verifiedEvidence } = before
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({
    verifiedAt,
    verifiedBy,
    verifiedEvidence,
  })
})

test('a copy that has to be staged to be compared keeps its state: no failure, no alert, no repetition', async () => {
  await files.put()
  await files.runs.alerts()
  let checks = 0
  const onTapeOnly = withTape(async () => {
    checks += 1
    return { kind: 'unproven', reason: 'it is on tape only' }
  })
  files.runs.time += 400 * DAY_MS
  const before = await files.runs.replica(files.key, 'tape')
  await scrub(onTapeOnly, { secondCheckMs: 1 }, signal, log)
  expect(checks).toBeGreaterThan(0)
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({
    state: 'on-media',
    verifiedAt: before.verifiedAt,
    doubtedEvidence: null,
    lastError: 'unproven: it is on tape only',
    attempts: 0,
  })
  checks = 0
  files.runs.time += 2 * DAY_MS
  await scrub(onTapeOnly, { secondCheckMs: 1 }, signal, log)
  expect(checks).toBe(0)
  expect(await files.runs.alerts()).toEqual([])
})

test('a file that is found on tape and has to be staged to be compared is no failed copy, however late', async () => {
  const { context } = files.runs
  const { tag, runNumber, sha256 } = await context.putRun(files.key, files.key)
  const onTapeOnly = {
    ...withTape(async () => ({ kind: 'unproven', reason: 'it is on tape only' })),
    publicS3: context.publicS3,
  } as WithTape
  const request = {
    tag,
    runNumber,
    bucket: context.bucket,
    key: files.key,
    sha256,
    priority: 'live' as const,
  }
  await acceptTapeRequest(onTapeOnly, request)
  await files.runs.alerts()
  await copyNext(onTapeOnly, signal, log)
  files.runs.time += 30 * DAY_MS
  await followCopies(onTapeOnly, signal, log)
  await alertLateCopies(onTapeOnly, signal)
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({
    state: 'submitted',
    lastError: 'unproven: it is on tape only',
  })
  expect(await files.runs.alerts()).toEqual([])
})

test('a copy on tape only is staged, read back and released by an explicit order, and never without it', async () => {
  await files.put()
  const calls: string[] = []
  let isOnDisk = false
  const context = withTape(async () => {
    calls.push('check')
    return isOnDisk
      ? { kind: 'present', evidence: 'read', verifiedBy: 'sha256 read back', onMedia: true }
      : { kind: 'unproven', reason: 'it is on tape only' }
  })
  Object.assign(context.tape as object, {
    async stage(_: unknown, { reference }: { readonly reference: string | null }) {
      calls.push(`stage ${reference}`)
      isOnDisk = reference !== null
      return { kind: isOnDisk ? 'online' : 'staging', reference: 'a request', reason: 'in the queue' }
    },
    release: async (_: unknown, reference: string) => void calls.push(`release ${reference}`),
  })
  expect(await verify('tape', 'always', context)).toMatchObject({ outcome: 'unproven' })
  expect(new Set(calls)).toEqual(new Set(['check']))
  calls.length = 0
  const { id } = await files.runs.replica(files.key, 'tape')
  expect(
    await verifyReplica(context, id, { readBack: 'always', stage: { pollMs: 1 } }, signal, log),
  ).toMatchObject({ outcome: 'verified' })
  expect(calls).toEqual(['check', 'stage null', 'stage a request', 'check', 'release a request'])
  expect(await files.runs.replica(files.key, 'tape')).toMatchObject({
    state: 'on-media',
    verifiedEvidence: 'read',
    lastError: null,
  })
})

test('an order to stage goes on while the endpoint does not answer for some time, and ends after that', async () => {
  await files.put()
  let isOnDisk = false
  let failures = 0
  const calls: string[] = []
  const context = withTape(async () =>
    isOnDisk
      ? { kind: 'present', evidence: 'read', verifiedBy: 'sha256 read back', onMedia: true }
      : { kind: 'unproven', reason: 'it is on tape only' },
  )
  Object.assign(context.tape as object, {
    async stage(_: unknown, { reference }: { readonly reference: string | null }) {
      if (reference === null) return { kind: 'staging', reference: 'a request', reason: 'in the queue' }
      if (failures-- > 0) throw new TransientError('busy', { httpStatus: 503 })
      isOnDisk = true
      return { kind: 'online', reference }
    },
    release: async (_: unknown, reference: string) => void calls.push(`release ${reference}`),
  })
  const { id } = await files.runs.replica(files.key, 'tape')
  const order = () => verifyReplica(context, id, { readBack: 'always', stage: { pollMs: 1 } }, signal, log)
  failures = 1000
  expect(await order()).toMatchObject({ outcome: 'unknown', detail: 'busy' })
  failures = 20
  expect(await order()).toMatchObject({ outcome: 'verified' })
  expect(calls).toEqual(['release a request', 'release a request'])
})

test('rows from before the evidence was kept get its kind from the sentence that names the comparison', async () => {
  await files.put()
  const { database } = files.runs.context
  const rows = [
    ['tape', 'on-media', 'Rucio: rule OK, replica AVAILABLE', 'statement', null],
    [
      'tape',
      'on-media',
      'Rucio: rule OK, replica AVAILABLE; adler32 stated by the endpoint',
      'stored-checksum',
      null,
    ],
    ['tape', 'suspicious', 'sha256 read back', 'read', 'read'],
    ['cloud', 'missing', 'read whole, nothing stated', 'read', 'existence'],
    ['cloud', 'present', 'md5 of the etag', 'stored-checksum', null],
  ] as const
  for (const [kind, state, verifiedBy, verifiedEvidence, doubtedEvidence] of rows) {
    await database
      .updateTable('replicas')
      .set({ state, verifiedBy, verifiedAt: new Date(), verifiedEvidence: null, doubtedEvidence: null })
      .where('kind', '=', kind)
      .where('objectKey', '=', files.key)
      .execute()
    await up(database as unknown as Kysely<unknown>)
    expect(await files.runs.replica(files.key, kind)).toMatchObject({ verifiedEvidence, doubtedEvidence })
  }
})

test.each([
  ['by its ETag', ['md5 of the etag'], 'read'],
  ['by a read', ['read back: md5, adler32, sha256'], null],
  ['by its ETag, and by a read later', ['md5 of the etag', 'read back: md5, adler32, sha256'], null],
])(
  'a suspicious copy that was cleared %s before the evidence was kept',
  async (_, cleared, doubtedEvidence) => {
    await files.put()
    const { database } = files.runs.context
    const { id, runId, url } = await files.runs.replica(files.key, 'cloud')
    for (const by of cleared)
      await database
        .insertInto('runHistory')
        .values([
          { runId, at: new Date(), what: 'copy suspicious', detail: `${url}: its md5 is another` },
          {
            runId,
            at: new Date(),
            what: 'copy verified again',
            detail: `${url}: was suspicious, verified by ${by}`,
          },
        ])
        .execute()
    await database
      .updateTable('replicas')
      .set({ verifiedBy: 'md5 of the etag', verifiedEvidence: null, doubtedEvidence: null })
      .where('id', '=', id)
      .execute()
    await up(database as unknown as Kysely<unknown>)
    expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({ state: 'present', doubtedEvidence })
    if (doubtedEvidence === null) return
    expect(await verify('cloud', 'if-needed')).toMatchObject({ outcome: 'suspicious' })
    files.runs.time += 400 * DAY_MS
    await scrub(files.runs.context, { secondCheckMs: 1 }, signal, log)
    expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({
      state: 'present',
      verifiedEvidence: 'read',
      doubtedEvidence: null,
    })
  },
)

/** Two moments that a test and the code under test wait for. */
function gate() {
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>()
  const { promise: opened, resolve: open } = Promise.withResolvers<void>()
  return { entered, enter, opened, open }
}

describe.each(['cloud', 'local'] as const)('the deletion of the %s copy', (what) => {
  const remove = async (context: Tape, copy: LocalCopy) =>
    what === 'local'
      ? await permitDeletion(context, copy, signal)
      : await deleteCloudCopy(
          context,
          (await files.runs.replica(files.key, 'cloud')) as Replica,
          '',
          signal,
          {
            // The store's own clock dates the object.
            minAgeMs: Number.NEGATIVE_INFINITY,
          },
        )
  const stated: TapeCheck = {
    kind: 'present',
    evidence: 'stored-checksum',
    verifiedBy: 'adler32 stated by the endpoint',
    onMedia: true,
  }
  const rotten: TapeCheck = { kind: 'different', evidence: 'read', reason: 'rotten' }

  test.each([
    'while the copy on tape is read',
    'while a reading of the copy on tape begins during the deletion',
  ])('waits %s, whatever the endpoint states', async (when) => {
    const copy = await files.put()
    files.runs.time += 40 * DAY_MS
    const reading = gate()
    const deleting = gate()
    const begins = when.includes('begins')
    const context = withTape(async (_: unknown, { readBack }: CheckOptions) => {
      if (readBack === 'always') {
        reading.enter()
        await reading.opened
        return rotten
      }
      deleting.enter()
      if (begins) await deleting.opened
      return stated
    })
    const early = begins ? remove(context, copy) : null
    if (begins) await Promise.race([deleting.entered, early])
    const verifying = verify('tape', 'always', context)
    await reading.entered
    deleting.open()
    const deletion = await (early ?? remove(context, copy))
    reading.open()
    expect(await verifying).toMatchObject({ outcome: 'suspicious' })
    const sentence = expect.stringContaining('another function is working on')
    expect(deletion).toMatchObject(
      what === 'cloud'
        ? { kind: 'refused', code: 'busy', reason: sentence }
        : { kind: 'refused', why: sentence },
    )
    expect(await files.runs.replica(files.key, 'cloud')).toMatchObject({ state: 'present' })
  })
})
