import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { claimReplica, endClaim } from '../../shared/catalogue/replica-work.ts'
import { ConflictError, InvalidInputError } from '../../shared/errors.ts'
import { checkReplica } from '../../shared/replicas/check-replica.ts'
import { endInterruptedForgetting, forgetLocalCopy } from '../../shared/replicas/forget-local-copy.ts'
import { type LocalCopy, noteLocalCopy } from '../../shared/replicas/local-copies.ts'
import { safetyOf } from '../../shared/replicas/safety.ts'
import { runlogRow } from '../support/catalogue.ts'
import { signal } from '../support/context.ts'
import { START, startVerifiedRuns, type VerifiedRuns } from './verified-runs.ts'

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

let run = 300
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  runs.time = START
  Object.assign(runs.tape, { fault: null, onMedia: true })
  for (const table of ['tombstones', 'replicas'] as const) await runs.context.database.deleteFrom(table).execute()
})

const set = (kind: 'cloud' | 'tape', values: string) =>
  sql`UPDATE replicas SET ${sql.raw(values)} WHERE object_key = ${key} AND kind = ${kind}`.execute(runs.context.database)

async function put(options: { readonly onTape?: boolean; readonly body?: string } = {}): Promise<LocalCopy> {
  const { object, sha256 } = await runs.put(key, options)
  return { bucket: object.bucket, key, sha256, sizeBytes: object.sizeBytes, host: 'daq-1', path: `/data/run ${run}.mid.gz` }
}

describe('a file of the DAQ', () => {
  test('is safe to delete when a copy in the store and one on tape are verified', async () => {
    const copy = await put()
    expect(await safetyOf(runs.context, copy)).toEqual({
      safe: true,
      why: 'a copy in the store and one on tape are verified',
      cloud: { state: 'present', verifiedAt: expect.any(Date) },
      tape: [{ endpoint: runs.tape.endpoint, state: 'on-media', verifiedAt: new Date(START) }],
    })
  })

  test.each([
    ['cloud', "state = 'missing'", 'the copy in the store is missing'],
    ['cloud', "state = 'suspicious'", 'the copy in the store is suspicious'],
    ['cloud', "state = 'replaced'", 'other contents'],
    ['cloud', 'verified_at = NULL', 'not compared yet'],
    ['cloud', "state = 'deleting'", 'the local file is the second copy'],
    ['cloud', "state = 'deleted'", 'the local file is the second copy'],
    ['tape', "state = 'requested'", 'under way (requested)'],
    ['tape', "state = 'copying', last_error = 'no room'", 'under way (copying): no room'],
    ['tape', "state = 'submitted'", 'under way (submitted)'],
    ['tape', "state = 'staged'", 'disk buffer'],
    ['tape', "state = 'failed', last_error = 'the tape is full'", 'failed: the tape is full'],
    ['tape', "state = 'missing'", 'the copy on tape is missing'],
    ['tape', "state = 'suspicious'", 'the copy on tape is suspicious'],
    ['tape', 'verified_at = NULL', 'not compared yet'],
  ] as const)('is not safe while of the copies that of the %s has %s', async (kind, values, why) => {
    const copy = await put()
    await set(kind, values)
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: false, why: expect.stringContaining(why) })
  })

  test('is not safe before it is catalogued, before its copy on tape is asked for, or when other contents are meant', async () => {
    const copy = await put({ onTape: false })
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: false, why: 'no copy on tape was asked for yet', tape: [] })
    const other = { ...copy, sha256: 'f'.repeat(64) }
    expect(await safetyOf(runs.context, other)).toMatchObject({ safe: false, why: expect.stringContaining('not catalogued'), cloud: null })
    const shorter = await safetyOf(runs.context, { ...copy, sizeBytes: copy.sizeBytes - 1 })
    expect(shorter).toMatchObject({ safe: false, why: expect.stringContaining('bytes') })
    await sql`DELETE FROM replicas`.execute(runs.context.database)
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: false })
  })

  test('of which both a bad and a good copy are on tape is safe by the good one', async () => {
    const copy = await put()
    await sql`INSERT INTO replicas (identity, run_id, tag, run_number, bucket, object_key, kind, endpoint, url, name, size_bytes, md5,
      adler32, sha256, state, requested_at, requested_by, updated_at)
      SELECT UNHEX(SHA2(${key}, 256)), run_id, tag, run_number, bucket, object_key, kind, endpoint, url, 'beside', size_bytes, md5,
      adler32, sha256, 'suspicious', requested_at, requested_by, updated_at
      FROM replicas WHERE kind = 'tape' AND object_key = ${key}`.execute(runs.context.database)
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: true, tape: [{}, {}] })
  })
})

describe("the DAQ's own copy", () => {
  const local = () => runs.replica(key, 'local')
  const localStatus = async () => (await runlogRow(runs.context.database, run))?.storage_local_status
  const tombstones = () => runs.context.database.selectFrom('tombstones').selectAll().execute()

  test('is a row with its place, as often as it is seen, and shows in the Runlog', async () => {
    const copy = await put({ onTape: false })
    expect(await localStatus()).toBe(0)
    const id = await noteLocalCopy(runs.context, copy)
    runs.time += 1000
    expect(await noteLocalCopy(runs.context, { ...copy, path: '/data2/moved.mid.gz' })).toBe(id)
    expect(await local()).toMatchObject({
      state: 'present',
      endpoint: 'daq-1',
      url: 'file://daq-1/data2/moved.mid.gz',
      name: '/data2/moved.mid.gz',
      verified_at: new Date(runs.time),
    })
    expect(await localStatus()).toBe(1)
  })

  test('of contents that are not catalogued yet is noted later; a path that is none is refused', async () => {
    const copy = await put({ onTape: false })
    expect(await noteLocalCopy(runs.context, { ...copy, sha256: 'f'.repeat(64) })).toBeNull()
    await expect(noteLocalCopy(runs.context, { ...copy, path: 'data/run.mid' })).rejects.toThrow(InvalidInputError)
    await expect(noteLocalCopy(runs.context, { ...copy, path: `/${'x'.repeat(5000)}` })).rejects.toThrow(InvalidInputError)
  })

  test('is removed with a tombstone written before, which names the copy on tape', async () => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    const seen: unknown[] = []
    const remove = async () => {
      seen.push(
        (await tombstones()).map(({ state }) => state),
        (await local()).state,
      )
    }
    expect(await forgetLocalCopy(runs.context, copy, { remove })).toMatchObject({ safe: true, deleted: true })
    expect(seen).toEqual([['intended'], 'deleting'])
    const tape = await runs.replica(key, 'tape')
    expect(await tombstones()).toMatchObject([
      {
        state: 'deleted',
        url: (await local()).url,
        sha256: copy.sha256,
        survivor_id: tape.id,
        survivor_url: tape.url,
        survivor_verified_by: tape.verified_by,
        survivor_verified_at: tape.verified_at,
        ended_at: new Date(START),
      },
    ])
    expect(await local()).toMatchObject({ state: 'deleted', deleted_at: new Date(START), lease_owner: null })
    expect(await localStatus()).toBe(0)
    expect(await runs.history(key)).toContain('local file deleted')
  })

  test('stays while it is not safe, or was not compared, or lies elsewhere', async () => {
    const copy = await put({ onTape: false })
    const remove = () => Promise.reject(new Error('must not be removed'))
    await noteLocalCopy(runs.context, copy)
    expect(await forgetLocalCopy(runs.context, copy, { remove })).toMatchObject({ safe: false, deleted: false })
    await runs.put(key, { reopen: true })
    for (const other of [
      { ...copy, host: 'daq-2' },
      { ...copy, path: '/data/other.mid.gz' },
    ])
      expect(await forgetLocalCopy(runs.context, other, { remove })).toMatchObject({
        safe: false,
        deleted: false,
        why: expect.stringContaining('not told of this file'),
      })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', lease_owner: null })
  })

  test('stays when another copy goes at the same time, found under the lock', async () => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    // The cleaner gets in between the first judgement and the second.
    const checkSurvivor = async () => {
      const { id } = await runs.replica(key, 'cloud')
      const claim = await claimReplica(runs.context.database, id, ['present'], { owner: 'the cleaner', leaseSeconds: 60 })
      if (claim === null) throw new Error('claimed')
      await endClaim(runs.context.database, claim, { change: { state: 'deleting' } }, new Date())
      return { state: 'verified', by: 'test', onMedia: true, object: null } as const
    }
    const result = await forgetLocalCopy(runs.context, copy, { remove: () => Promise.reject(new Error('no')), checkSurvivor })
    expect(result).toMatchObject({ safe: false, deleted: false, why: expect.stringContaining('the local file is the second copy') })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', lease_owner: null })
  })

  test('can be removed on the evidence of a look at the tape in the same call, and only on a good one', async () => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    let removed = false
    const remove = async () => {
      removed = true
    }
    const checkSurvivor = (tape: Parameters<typeof checkReplica>[1]) => checkReplica(runs.context, tape, 'if-needed', signal)
    runs.tape.onMedia = false
    expect(await forgetLocalCopy(runs.context, copy, { remove, checkSurvivor })).toMatchObject({ deleted: false, safe: false })
    runs.tape.fault = 'down'
    await expect(forgetLocalCopy(runs.context, copy, { remove, checkSurvivor })).rejects.toThrow('does not answer')
    expect([removed, await local()]).toMatchObject([false, { state: 'present', lease_owner: null }])
    Object.assign(runs.tape, { fault: null, onMedia: true })
    runs.time += 60_000
    expect(await forgetLocalCopy(runs.context, copy, { remove, checkSurvivor })).toMatchObject({ deleted: true })
    expect(await tombstones()).toMatchObject([{ survivor_verified_by: 'sha256 read back', survivor_verified_at: new Date(START + 60_000) }])
  })

  test('that cannot be removed counts as present, and the tombstone is withdrawn', async () => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    const remove = () => Promise.reject(new Error('EACCES'))
    await expect(forgetLocalCopy(runs.context, copy, { remove })).rejects.toThrow('EACCES')
    expect(await local()).toMatchObject({ state: 'present', last_error: 'the file could not be removed', lease_owner: null })
    expect(await tombstones()).toMatchObject([{ state: 'withdrawn' }])
    expect(await localStatus()).toBe(1)
  })

  test('on which two processes are at work is removed by one', async () => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    let removals = 0
    const remove = async () => {
      removals += 1
    }
    const results = await Promise.allSettled([1, 2, 3].map(() => forgetLocalCopy(runs.context, copy, { remove })))
    expect(removals).toBe(1)
    const others = results.filter((result) => result.status === 'rejected' || !result.value.deleted)
    expect(others).toHaveLength(2)
    for (const result of others) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConflictError)
  })

  test.each([
    [true, 'present', 'withdrawn'],
    [false, 'deleted', 'deleted'],
  ] as const)('whose removal was interrupted is put right by the disk (still there: %s)', async (there, state, tombstone) => {
    const copy = await put()
    await noteLocalCopy(runs.context, copy)
    const crashed = {
      ...runs.context,
      now: () => new Date(runs.time),
    }
    const never = forgetLocalCopy(crashed, copy, { remove: () => new Promise<void>(() => {}) })
    never.catch(() => {})
    for (let tries = 0; (await local()).state !== 'deleting'; tries++) if (tries > 1000) throw new Error('it never began')
    const again = () => endInterruptedForgetting(runs.context, 'daq-1', async (path) => path === copy.path && there)
    expect(await again()).toBe(0) // the lease of the process that died
    expect(await noteLocalCopy(runs.context, copy)).toBe((await local()).id)
    expect((await local()).state).toBe('deleting')
    await runs.context.database
      .updateTable('replicas')
      .set({ lease_until: new Date(0) })
      .where('kind', '=', 'local')
      .execute()
    expect(await again()).toBe(1)
    expect(await local()).toMatchObject({ state, lease_owner: null })
    expect(await tombstones()).toMatchObject([{ state: tombstone, ended_at: expect.any(Date) }])
    expect(await again()).toBe(0)
  })
})
