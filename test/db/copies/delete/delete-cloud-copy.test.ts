import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replicaRow } from '../../../../shared/catalogue/replicas.ts'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import type { Replica } from '../../../../shared/database/replica-schema.ts'
import { createDirectoryDriver } from '../../../../shared/tape/directory/directory.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { runlogRow } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { showAs } from '../../../support/copy-tasks.ts'
import {
  DAY_MS,
  expectUntouched,
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
beforeAll(async () => {
  context = await startTestTapeContext({
    now: inTwoDays,
    driver: (folder) => {
      tape = faultyTape(createDirectoryDriver({ folder }))
      return tape
    },
  })
})
afterAll(() => context.close())

let next = 1000
const nextKey = (tag = 'LNGS') => `${tag}/run${String(++next).padStart(5, '0')}.mid.gz`
const fresh = (tag?: string) => safeRun(context, nextKey(tag))
const remove = (run: SafeRun, on = context) => deleteCloudCopy(on, run.cloud, 'a test', signal)
const onTape = (run: SafeRun) => join(context.tapeFolder, run.tape.name)
const set = (id: number, values: string) =>
  sql`UPDATE replicas SET ${sql.raw(values)} WHERE id = ${id}`.execute(context.database)

describe('a run with a verified copy on tape', () => {
  test('a run with a verified copy on tape is deleted from the store, with its tombstone, row, history and Runlog updated', async () => {
    const run = await fresh()
    const before = run.tape.verifiedAt
    const result = await remove(run)
    expect(result).toMatchObject({ kind: 'deleted', survivorUrl: run.tape.url, note: null })
    expect(await isStored(context, run.key)).toBe(false)
    const cloud = await replicaById(context, run.cloud.id)
    expect(cloud).toMatchObject({ state: 'deleted', leaseOwner: null })
    expect(cloud.deletedAt).not.toBeNull()
    const survivor = await replicaById(context, run.tape.id)
    expect(survivor.state).toBe('on-media')
    expect(survivor.verifiedAt?.getTime()).toBeGreaterThanOrEqual(
      before?.getTime() ?? Number.POSITIVE_INFINITY,
    )
    const [tombstone, ...more] = await tombstonesOf(context, run.cloud.id)
    expect(more).toEqual([])
    expect(tombstone).toMatchObject({
      state: 'deleted',
      reason: 'a test',
      objectKey: run.key,
      sha256: run.cloud.sha256,
      sizeBytes: run.bytes.length,
      survivorId: run.tape.id,
      survivorVerifiedBy: 'sha256 read back',
    })
    expect(tombstone?.etag).not.toBeNull()
    expect(tombstone?.survivorVerifiedAt).toEqual(survivor.verifiedAt)
    expect(tombstone?.writtenAt.getTime()).toBeLessThanOrEqual(tombstone?.endedAt?.getTime() ?? 0)
    expect(await runlogRow(context.database, run.cloud.runNumber)).toMatchObject({
      storage_cloud_status: 2,
      storage_tape_status: 1,
    })
    const history = await context.database
      .selectFrom('runHistory')
      .selectAll()
      .where('runId', '=', run.cloud.runId)
      .execute()
    expect(history.at(-1)).toMatchObject({
      what: 'deleted from the store',
      detail: expect.stringContaining(run.tape.url),
    })
    expect(readFileSync(onTape(run), 'utf8')).toBe(run.bytes)
  })

  test('a run cannot be deleted a second time', async () => {
    const run = await fresh()
    await remove(run)
    expect(await remove(run)).toMatchObject({ kind: 'refused', code: 'busy' })
    expect(await tombstonesOf(context, run.cloud.id)).toHaveLength(1)
  })

  test('a run is deleted once by ten cleaners at once', async () => {
    const run = await fresh()
    const other = withInterference(context)
    const results = await Promise.all(Array.from({ length: 10 }, () => remove(run, other)))
    expect(results.filter((result) => result.kind === 'deleted')).toHaveLength(1)
    expect(results.filter((result) => result.kind === 'refused' && result.code === 'busy')).toHaveLength(9)
    expect(other.requests('DeleteObjectCommand')).toBe(1)
    expect(await tombstonesOf(context, run.cloud.id)).toHaveLength(1)
  })

  test('the copy on tape loses its last error when the deletion verifies it', async () => {
    const run = await fresh()
    await set(run.tape.id, "last_error = 'is it mounted?'")
    expect(await remove(run)).toMatchObject({ kind: 'deleted' })
    expect(await replicaById(context, run.tape.id)).toMatchObject({ state: 'on-media', lastError: null })
  })

  test('a run with one good copy among its copies on tape is deleted', async () => {
    const run = await fresh()
    const content = {
      run: { id: run.cloud.runId, tag: 'LNGS', runNumber: run.cloud.runNumber },
      bucket: context.bucket,
      key: run.key,
    }
    const row = replicaRow(
      {
        ...content,
        sizeBytes: run.cloud.sizeBytes,
        md5: run.cloud.md5,
        adler32: run.cloud.adler32,
        sha256: run.cloud.sha256,
      },
      {
        kind: 'tape',
        endpoint: 'davs://closed.example.org/',
        url: 'davs://closed.example.org/x',
        name: 'x',
        requestedBy: 'test',
      },
      new Date(),
    )
    await context.database
      .insertInto('replicas')
      .values({ ...row, state: 'on-media' })
      .execute()
    expect(await remove(run)).toMatchObject({ kind: 'deleted', survivorUrl: run.tape.url })
  })
})

describe('nothing is deleted', () => {
  test('nothing below a protected prefix is deleted, also when requested directly', async () => {
    const run = await fresh('LAB')
    await expect(remove(run)).rejects.toMatchObject({
      name: 'InvalidInputError',
      message: expect.stringContaining('"LAB/" is protected'),
    })
    await expectUntouched(context, run)
  })

  test.each([
    ['a copy on tape', { kind: 'tape' as const }],
    ['an object that is no run', { objectKey: 'LNGS/notes.txt' }],
    ['a key that is a path to elsewhere', { objectKey: 'LNGS/../LAB/run00001.mid.gz' }],
    ['another bucket', { bucket: 'cygno-analysis' }],
  ])('nothing is deleted when the copy is %s', async (_, changes) => {
    const run = await fresh()
    const other = withInterference(context)
    await expect(
      deleteCloudCopy(other, { ...run.cloud, ...changes }, 'a test', signal),
    ).rejects.toMatchObject({
      name: 'InvalidInputError',
    })
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    await expectUntouched(context, run)
  })

  test('nothing is deleted without a copy on tape', async () => {
    const key = nextKey()
    const { object } = await context.putRun(key, 'alone')
    const cloud = await context.database
      .selectFrom('copies')
      .selectAll()
      .where('objectKey', '=', key)
      .executeTakeFirstOrThrow()
    expect(await deleteCloudCopy(context, cloud, 'a test', signal)).toMatchObject({
      code: 'no-verified-copy',
      reason: 'it has no copy on tape',
    })
    expect(await isStored(context, object.key)).toBe(true)
  })

  test.each(['requested', 'copying', 'submitted', 'staged', 'failed', 'suspicious', 'missing'] as const)(
    'nothing is deleted while the copy on tape is %s, whatever file is there',
    async (state) => {
      const run = await fresh()
      await showAs(context.database, { ...run.tape, state, lastError: 'seen so' })
      expect(await remove(run)).toMatchObject({
        code: 'no-verified-copy',
        reason: `its copy on tape is "${state}": seen so (${run.tape.url})`,
      })
      await expectUntouched(context, run)
      // The next copy that a test makes is its own.
      await context.database.deleteFrom('tasks').execute()
    },
  )

  test('nothing is deleted on the report of a service that verified nothing now', async () => {
    const run = await fresh()
    const check: FaultyTape['check'] = async () => ({
      kind: 'present',
      verifiedBy: 'a rule is OK',
      evidence: 'statement',
      onMedia: true,
    })
    expect(await remove(run, { ...context, tape: { ...tape, check } })).toMatchObject({
      code: 'no-verified-copy',
      reason: expect.stringContaining('only reported, not verified (a rule is OK)'),
    })
    await expectUntouched(context, run)
  })

  test('nothing is deleted when one bit on tape has flipped; the copy becomes suspicious and an alert is raised', async () => {
    const run = await fresh()
    const bytes = readFileSync(onTape(run))
    bytes[3] = (bytes[3] ?? 0) ^ 1
    chmodSync(onTape(run), 0o640)
    writeFileSync(onTape(run), bytes)
    expect(await remove(run)).toMatchObject({
      code: 'no-verified-copy',
      reason: expect.stringContaining('SHA-256'),
    })
    await expectUntouched(context, run)
    expect(await replicaById(context, run.tape.id)).toMatchObject({ state: 'suspicious', leaseOwner: null })
    expect(await runlogRow(context.database, run.cloud.runNumber)).toMatchObject({ storage_cloud_status: 1 })
    // The copy in the store is good and is kept by this call, so no page is raised.
    const alerts = (await drainRaised(context)).filter(({ runNumber }) => runNumber === run.cloud.runNumber)
    expect(alerts).toEqual([expect.objectContaining({ rule: 'copy-suspicious', severity: 'error' })])
  })

  test('nothing is deleted when the copy on tape has another size or is missing', async () => {
    const [cut, missing] = [await fresh(), await fresh()]
    chmodSync(onTape(cut), 0o640)
    writeFileSync(onTape(cut), cut.bytes.slice(1))
    rmSync(onTape(missing))
    expect(await remove(cut)).toMatchObject({ code: 'no-verified-copy' })
    expect(await remove(missing)).toMatchObject({ code: 'no-verified-copy' })
    await expectUntouched(context, cut)
    await expectUntouched(context, missing)
    expect((await replicaById(context, missing.tape.id)).state).toBe('missing')
    await drainRaised(context)
  })

  test('nothing is deleted when the endpoint has the copy on its disk buffer only', async () => {
    const run = await fresh()
    tape.onMedia = false
    expect(await remove(run).finally(() => (tape.onMedia = true))).toMatchObject({ code: 'no-verified-copy' })
    await expectUntouched(context, run)
  })

  test('nothing is deleted when the tape endpoint does not answer: that is an error, and the row is free again', async () => {
    const run = await fresh()
    tape.fault = 'down'
    await expect(remove(run).finally(() => (tape.fault = null))).rejects.toMatchObject({
      name: 'TransientError',
    })
    await expectUntouched(context, run)
    expect(await remove(run)).toMatchObject({ kind: 'deleted' })
  })

  test('nothing is deleted when no tape endpoint is configured', async () => {
    const run = await fresh()
    const result = await deleteCloudCopy({ ...context, tape: null }, run.cloud, 'a test', signal)
    expect(result).toMatchObject({
      code: 'no-verified-copy',
      reason: expect.stringContaining('is not the configured one'),
    })
    await expectUntouched(context, run)
  })

  test.each(['requested', 'staging', 'copying', 'present'])(
    'nothing is deleted while a recall is %s, and after it expired the run is deleted',
    async (state) => {
      const run = await fresh()
      const expiresAt = new Date(inTwoDays().getTime() + DAY_MS)
      await giveRecall(context.database, run.cloud, { state: state as Replica['state'], expiresAt })
      expect(await remove(run)).toMatchObject({ code: 'recalled' })
      await expectUntouched(context, run)
      await sql`UPDATE recalls SET expires_at = ${new Date(Date.now() + DAY_MS)} WHERE object_key = ${run.key}`.execute(
        context.database,
      )
      expect(await remove(run)).toMatchObject({ kind: 'deleted' })
    },
  )

  test('nothing is deleted when a checksum of this file or of another of the run disagreed', async () => {
    const [own, other] = [await fresh(), await fresh()]
    await sql`UPDATE run_files SET integrity = 'mismatch' WHERE object_key = ${own.key}`.execute(
      context.database,
    )
    await sql`UPDATE runs SET integrity = 'mismatch' WHERE id = ${other.cloud.runId}`.execute(
      context.database,
    )
    for (const run of [own, other]) {
      expect(await remove(run)).toMatchObject({ code: 'mismatch' })
      await expectUntouched(context, run)
    }
  })

  test('nothing is deleted when the catalogue shows other contents for the key, or none', async () => {
    const [replaced, superseded] = [await fresh(), await fresh()]
    await sql`UPDATE run_files SET sha256 = REPEAT('0', 64) WHERE object_key = ${replaced.key}`.execute(
      context.database,
    )
    await sql`UPDATE run_files SET is_live = 0 WHERE object_key = ${superseded.key}`.execute(context.database)
    for (const run of [replaced, superseded]) {
      expect(await remove(run)).toMatchObject({ code: 'not-live' })
      await expectUntouched(context, run)
    }
  })

  test('nothing is deleted when the object is younger than a day', async () => {
    const run = await fresh()
    expect(
      await deleteCloudCopy({ ...context, now: () => new Date() }, run.cloud, 'a test', signal),
    ).toMatchObject({ code: 'young' })
    await expectUntouched(context, run)
  })

  test('nothing is deleted when another object was dropped under the key and is not catalogued yet, and the copy no longer counts', async () => {
    const run = await fresh()
    await context.put(run.key, 'another object')
    expect(await remove(run)).toMatchObject({ code: 'changed' })
    await expectUntouched(context, run, 'suspicious')
    expect((await runlogRow(context.database, run.cloud.runNumber))?.storage_cloud_status).toBe(-2)
  })

  test('nothing is deleted when the tombstone cannot be written', async () => {
    const run = await fresh()
    const other = withInterference(context)
    await sql`ALTER TABLE tombstones ADD CONSTRAINT no_more CHECK (replica_id <> ${sql.lit(run.cloud.id)})`.execute(
      context.database,
    )
    await expect(
      remove(run, other).finally(() =>
        sql`ALTER TABLE tombstones DROP CONSTRAINT no_more`.execute(context.database),
      ),
    ).rejects.toThrow()
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    await expectUntouched(context, run)
    expect(await remove(run)).toMatchObject({ kind: 'deleted' })
  })

  test('nothing is deleted when the signal has aborted', async () => {
    const run = await fresh()
    const other = withInterference(context)
    await expect(
      deleteCloudCopy(other, run.cloud, 'a test', AbortSignal.abort(new Error('stop'))),
    ).rejects.toThrow()
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    await expectUntouched(context, run)
  })
})
