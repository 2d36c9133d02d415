import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deleteCloudCopy, settleDeletion } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { endStrandedTombstones } from '../../../../shared/copies/delete/tombstones.ts'
import { openDatabase } from '../../../../shared/database/connect.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { record, runlogRow } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import {
  DAY_MS,
  expectUntouched,
  inTwoDays,
  isStored,
  removeByHand,
  replicaById,
  type SafeRun,
  safeRun,
  tombstonesOf,
  withInterference,
} from '../../../support/deletions.ts'
import type { FaultyTape } from '../../../support/faulty-tape.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { giveRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext({ now: inTwoDays })
})
afterAll(() => context.close())

let next = 1000
const nextKey = (tag = 'LNGS') => `${tag}/run${String(++next).padStart(5, '0')}.mid.gz`
const fresh = (tag?: string) => safeRun(context, nextKey(tag))
const remove = (run: SafeRun, on = context) => deleteCloudCopy(on, run.cloud, 'a test', signal)
const onTape = (run: SafeRun) => join(context.tapeFolder, run.tape.name)
const set = (id: number, values: string) =>
  sql`UPDATE replicas SET ${sql.raw(values)} WHERE id = ${id}`.execute(context.database)

describe('changes during a deletion', () => {
  test('an object dropped between the last check and the deletion is kept', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async (send) => {
        await context.put(run.key, 'dropped just now')
        return await send()
      },
    })
    expect(await remove(run, other)).toMatchObject({ code: 'changed' })
    await expectUntouched(context, run, 'suspicious')
    expect((await tombstonesOf(context, run.cloud.id)).map((tombstone) => tombstone.state)).toEqual([
      'withdrawn',
    ])
  })

  test('an object dropped right after the deletion is kept, and the tombstone records it', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async (send) => {
        const answer = await send()
        await context.put(run.key, 'dropped just then')
        return answer
      },
    })
    expect(await remove(run, other)).toMatchObject({
      kind: 'deleted',
      note: expect.stringContaining('another object'),
    })
    expect(await isStored(context, run.key)).toBe(true)
  })

  test('when other contents are dropped and catalogued during a deletion, their copy and its row are not changed', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async (send) => {
        const answer = await send()
        const metadata = metadataOf(run.cloud.runNumber, {}, 'dropped and read')
        await record(
          context.database,
          {
            ...(await context.put(run.key, 'dropped and read')),
            sizeBytes: 16,
            lastModified: new Date(),
            etag: 'e',
          },
          metadata,
        )
        return answer
      },
    })
    expect(await remove(run, other)).toMatchObject({ kind: 'deleted' })
    expect((await replicaById(context, run.cloud.id)).state).toBe('replaced')
    expect((await tombstonesOf(context, run.cloud.id)).map((tombstone) => tombstone.state)).toEqual([
      'deleted',
    ])
    const now = await context.database
      .selectFrom('copies')
      .selectAll()
      .where('objectKey', '=', run.key)
      .where('state', '=', 'present')
      .execute()
    expect(now).toHaveLength(1)
  })

  test('a run that is recalled while its copy on tape is verified is kept', async () => {
    const run = await fresh()
    const expiresAt = new Date(inTwoDays().getTime() + DAY_MS)
    const inner = context.tape
    const asking = {
      ...inner,
      check: async (...args: Parameters<typeof inner.check>) => {
        await giveRecall(context.database, run.cloud, { state: 'requested', expiresAt })
        return await inner.check(...args)
      },
    }
    expect(await remove(run, { ...context, tape: asking })).toMatchObject({ code: 'recalled' })
    await expectUntouched(context, run)
    expect(await tombstonesOf(context, run.cloud.id)).toEqual([])
  })

  test('a run is kept when its copy on tape becomes suspicious after it was verified', async () => {
    const run = await fresh()
    const inner = context.tape
    const doubting = {
      ...inner,
      check: async (...args: Parameters<typeof inner.check>) => {
        const found = await inner.check(...args)
        await set(run.tape.id, "state = 'suspicious'")
        return found
      },
    }
    expect(await remove(run, { ...context, tape: doubting })).toMatchObject({ code: 'no-verified-copy' })
    await expectUntouched(context, run)
  })

  test('nothing is deleted when the claim is lost while the copy on tape is read', async () => {
    const run = await fresh()
    const inner = context.tape
    const robbed = {
      ...inner,
      check: async (...args: Parameters<typeof inner.check>) => {
        await set(run.cloud.id, "lease_owner = 'another'")
        return await inner.check(...args)
      },
    }
    const other = withInterference({ ...context, tape: robbed })
    expect(await remove(run, other)).toMatchObject({ code: 'busy' })
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    expect(await replicaById(context, run.cloud.id)).toMatchObject({
      state: 'deleting',
      leaseOwner: 'another',
    })
  })

  test('an object that is removed by something else before its deletion is not recorded as deleted', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'HeadObjectCommand',
      nth: 2,
      act: async (send) => {
        await removeByHand(context, run.key)
        return await send()
      },
    })
    expect(await remove(run, other)).toMatchObject({ code: 'not-in-store' })
    expect((await replicaById(context, run.cloud.id)).state).toBe('missing')
    expect((await tombstonesOf(context, run.cloud.id)).map((tombstone) => tombstone.state)).toEqual([
      'withdrawn',
    ])
    await drainRaised(context)
  })

  test('a store that reports the deletion and still has the object is reported', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async () => ({ $metadata: {} }),
    })
    expect(await remove(run, other)).toMatchObject({ code: 'still-there' })
    await expectUntouched(context, run)
  })

  test('a deletion that the store forbids is an error, and the row is free again', async () => {
    const run = await fresh()
    const denied = Object.assign(new Error('no'), {
      name: 'AccessDenied',
      $metadata: { httpStatusCode: 403 },
    })
    const other = withInterference(context, { at: 'DeleteObjectCommand', act: () => Promise.reject(denied) })
    await expect(remove(run, other)).rejects.toMatchObject({
      details: expect.objectContaining({ operator: true }),
    })
    await expectUntouched(context, run)
  })

  test('a run that is catalogued as suspicious while its copy on tape is verified remains suspicious', async () => {
    const run = await fresh()
    const metadata = metadataOf(run.cloud.runNumber, { checksums: run.cloud, sizeBytes: run.cloud.sizeBytes })
    const check: FaultyTape['check'] = async (...asked) => {
      const found = await context.database
        .selectFrom('runFiles')
        .select(['etag', 'lastModified'])
        .where('objectKey', '=', run.key)
        .executeTakeFirstOrThrow()
      const version = versionOf(run.key, found.etag, {
        bucket: context.bucket,
        sizeBytes: run.cloud.sizeBytes,
        lastModified: found.lastModified,
      })
      await record(context.database, version, metadata, { integrity: 'mismatch' })
      return await context.tape.check(...asked)
    }
    const outcome = await deleteCloudCopy(
      { ...context, tape: { ...context.tape, check } },
      run.cloud,
      'a test',
      signal,
    )
    expect(outcome).toMatchObject({ kind: 'refused', code: 'mismatch' })
    expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'suspicious', leaseOwner: null })
    expect(await runlogRow(context.database, run.cloud.runNumber)).toMatchObject({ storage_cloud_status: -2 })
  })
})

const lostConnection = () =>
  Promise.reject(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }))
/** The lease of a function that died. */
const leaseOver = (run: SafeRun) => set(run.cloud.id, 'lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND')

test('a run that is deleted while a replay reads it is not in the store afterwards', async () => {
  const run = await fresh()
  const { etag, lastModified } = await context.database
    .selectFrom('runFiles')
    .selectAll()
    .where('objectKey', '=', run.key)
    .executeTakeFirstOrThrow()
  const version = versionOf(run.key, etag, {
    bucket: context.bucket,
    sizeBytes: run.cloud.sizeBytes,
    lastModified,
  })
  // A replay has read the object to its end; before it records that, the cleaner deletes the object.
  expect((await deleteCloudCopy(context, run.cloud, 'a test', signal)).kind).toBe('deleted')
  const metadata = metadataOf(run.cloud.runNumber, { checksums: run.cloud, sizeBytes: run.cloud.sizeBytes })
  const before = await replicaById(context, run.cloud.id)
  const began = new Date()
  await record(context.database, version, metadata, { stillCurrent: async () => 'deleted' })
  const { state, checkedAt } = await replicaById(context, run.cloud.id)
  expect(state).toBe(before.state)
  expect(state).not.toBe('present')
  // Otherwise an earlier recall would count as the newer observation.
  expect(checkedAt?.getTime()).toBeGreaterThanOrEqual(began.getTime())
})

describe('a crash', () => {
  test('after a crash behind the tombstone the next call starts again with its own verification', async () => {
    const run = await fresh()
    const dying = withInterference(context, { at: 'DeleteObjectCommand', act: lostConnection })
    await expect(remove(run, dying)).rejects.toMatchObject({ name: 'TransientError' })
    expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'deleting' })
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual(['intended'])
    expect(await remove(run)).toMatchObject({ code: 'busy' })
    await leaseOver(run)
    rmSync(onTape(run))
    expect(await remove(run)).toMatchObject({ code: 'no-verified-copy' })
    await expectUntouched(context, run)
    await drainRaised(context)
  })

  test('after a crash behind the tombstone the run is deleted under a second one', async () => {
    const run = await fresh()
    const dying = withInterference(context, { at: 'DeleteObjectCommand', act: lostConnection })
    await expect(remove(run, dying)).rejects.toThrow()
    await leaseOver(run)
    expect(await remove(run)).toMatchObject({ kind: 'deleted' })
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual([
      'withdrawn',
      'deleted',
    ])
  })

  test('a deletion whose answer was lost is checked and recorded in the same call', async () => {
    const run = await fresh()
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async (send) => {
        await send()
        return await lostConnection()
      },
    })
    expect(await remove(run, other)).toMatchObject({ kind: 'deleted' })
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual(['deleted'])
  })

  test('after a crash behind the deletion the next call records it without a request to the tape or a change in the store', async () => {
    const run = await fresh()
    const dying = withInterference(context, { at: 'HeadObjectCommand', nth: 3, act: lostConnection })
    await expect(remove(run, dying)).rejects.toThrow('socket hang up')
    expect(await isStored(context, run.key)).toBe(false)
    expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'deleting' })
    await leaseOver(run)
    const other = withInterference(context)
    expect(await settleDeletion(other, run.cloud, signal)).toMatchObject({
      kind: 'deleted',
      note: expect.stringContaining('found later'),
    })
    expect(other.requests('DeleteObjectCommand')).toBe(0)
    expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'deleted', leaseOwner: null })
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual(['deleted'])
    expect(await runlogRow(context.database, run.cloud.runNumber)).toMatchObject({ storage_cloud_status: 2 })
  })

  test('a deletion is recorded although a reading in progress marked the row present', async () => {
    const run = await fresh()
    const dying = withInterference(context, { at: 'HeadObjectCommand', nth: 3, act: lostConnection })
    await expect(remove(run, dying)).rejects.toThrow()
    await set(run.cloud.id, "state = 'present', lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND")
    expect(await remove(run)).toMatchObject({ kind: 'deleted', note: expect.stringContaining('found later') })
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual(['deleted'])
  })

  test('a deletion that crashed right after the claim is settled without a change', async () => {
    const run = await fresh()
    await set(
      run.cloud.id,
      "state = 'deleting', lease_owner = 'dead', lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND",
    )
    expect(await settleDeletion(context, run.cloud, signal)).toMatchObject({ kind: 'refused' })
    await expectUntouched(context, run)
  })

  test('a tombstone is ended when another object was catalogued after the crash', async () => {
    const run = await fresh()
    const dying = withInterference(context, { at: 'HeadObjectCommand', nth: 3, act: lostConnection })
    await expect(remove(run, dying)).rejects.toThrow()
    const metadata = metadataOf(run.cloud.runNumber, {}, 'dropped later')
    await record(
      context.database,
      {
        ...(await context.put(run.key, 'dropped later')),
        sizeBytes: 13,
        lastModified: new Date(),
        etag: 'e',
      },
      metadata,
    )
    expect(await endStrandedTombstones(context.database, inTwoDays())).toBe(0)
    expect(await endStrandedTombstones(context.database, new Date(inTwoDays().getTime() + DAY_MS))).toBe(1)
    expect((await tombstonesOf(context, run.cloud.id)).map(({ state }) => state)).toEqual(['deleted'])
    expect((await replicaById(context, run.cloud.id)).state).toBe('replaced')
  })

  test('when the database fails in the middle nothing is deleted without a tombstone, and a deletion is recorded later', async () => {
    for (const stage of ['before', 'after'] as const) {
      const run = await fresh()
      const own = openDatabase(context.catalogue.url, 2)
      const dying = withInterference(
        { ...context, database: own },
        {
          at: stage === 'before' ? 'HeadObjectCommand' : 'DeleteObjectCommand',
          nth: 1,
          act: async (send) => {
            const answer = await send()
            await own.destroy()
            return answer
          },
        },
      )
      await expect(remove(run, dying)).rejects.toThrow()
      expect(await isStored(context, run.key)).toBe(stage === 'before')
      expect(await tombstonesOf(context, run.cloud.id)).toHaveLength(stage === 'before' ? 0 : 1)
      await leaseOver(run)
      expect(await remove(run)).toMatchObject({ kind: 'deleted' })
      expect(await isStored(context, run.key)).toBe(false)
    }
  })
})

describe('a bucket that keeps versions', () => {
  const versioned = async (run: SafeRun, others: readonly string[] = []) => {
    await sql`UPDATE run_files SET version_id = 'v2' WHERE object_key = ${run.key}`.execute(context.database)
    const asVersion = async (send: () => Promise<unknown>) => ({
      ...((await send()) as object),
      VersionId: 'v2',
    })
    const Versions = ['v2', ...others].map((VersionId) => ({ Key: run.key, VersionId }))
    return withInterference(
      context,
      { at: 'HeadObjectCommand', act: asVersion },
      { at: 'ListObjectVersionsCommand', act: async () => ({ Versions, IsTruncated: false }) },
    )
  }

  test('a bucket with versions loses exactly the version that was catalogued', async () => {
    const run = await fresh()
    expect(await remove(run, await versioned(run))).toMatchObject({ kind: 'deleted' })
    expect((await tombstonesOf(context, run.cloud.id)).at(-1)).toMatchObject({
      state: 'deleted',
      versionId: 'v2',
    })
  })

  test('a bucket with versions keeps the object while an older version would replace it', async () => {
    const run = await fresh()
    expect(await remove(run, await versioned(run, ['v1']))).toMatchObject({ code: 'other-versions' })
    await expectUntouched(context, run)
  })

  test('a bucket with versions keeps the object when the newest version is not the catalogued one', async () => {
    const run = await fresh()
    const other = await versioned(run)
    await sql`UPDATE run_files SET version_id = 'v1' WHERE object_key = ${run.key}`.execute(context.database)
    expect(await remove(run, other)).toMatchObject({ code: 'changed' })
    await expectUntouched(context, run)
  })
})
