import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import { safetyOf } from '../../../../shared/copies/delete/safety.ts'
import { START, startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'
import { showAs } from '../../../support/copy-tasks.ts'

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
  for (const table of ['tombstones', 'replicas'] as const)
    await runs.context.database.deleteFrom(table).execute()
})

const set = (kind: 'cloud' | 'tape', values: string) =>
  sql`UPDATE replicas SET ${sql.raw(values)} WHERE object_key = ${key} AND kind = ${kind}`.execute(
    runs.context.database,
  )

async function put(options: { readonly onTape?: boolean; readonly body?: string } = {}): Promise<LocalCopy> {
  const { object, sha256 } = await runs.put(key, options)
  return {
    bucket: object.bucket,
    key,
    sha256,
    sizeBytes: object.sizeBytes,
    host: 'daq-1',
    path: `/data/run ${run}.mid.gz`,
  }
}

describe('a file of the DAQ', () => {
  test('a file is safe to delete when a copy in the store and one on tape are verified', async () => {
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
    ['cloud', 'verified_at = NULL', 'not verified yet'],
    ['cloud', "state = 'deleting'", 'the local file is the second copy'],
    ['cloud', "state = 'deleted'", 'the local file is the second copy'],
    ['tape', "state = 'staged'", 'disk buffer'],
    ['tape', "state = 'missing'", 'the copy on tape is missing'],
    ['tape', "state = 'suspicious'", 'the copy on tape is suspicious'],
    ['tape', 'verified_at = NULL', 'not verified yet'],
  ] as const)('a file is not safe while its copy of kind %s has %s', async (kind, values, why) => {
    const copy = await put()
    await set(kind, values)
    expect(await safetyOf(runs.context, copy)).toMatchObject({
      safe: false,
      why: expect.stringContaining(why),
    })
  })

  test.each([
    ['requested', null, 'in progress (requested)'],
    ['copying', 'no room', 'in progress (copying): no room'],
    ['submitted', null, 'in progress (submitted)'],
    ['failed', 'the tape is full', 'failed: the tape is full'],
  ] as const)('a file is not safe while its copy on tape is %s (%s)', async (state, lastError, why) => {
    const copy = await put()
    const tape = await runs.replica(key, 'tape')
    await showAs(runs.context.database, { ...tape, state, lastError })
    expect(await safetyOf(runs.context, copy)).toMatchObject({
      safe: false,
      why: expect.stringContaining(why),
    })
  })

  test('a file is not safe before it is catalogued, before its copy on tape is requested, or with other contents', async () => {
    const copy = await put({ onTape: false })
    expect(await safetyOf(runs.context, copy)).toMatchObject({
      safe: false,
      why: 'no copy on tape was requested yet',
      tape: [],
    })
    const other = { ...copy, sha256: 'f'.repeat(64) }
    expect(await safetyOf(runs.context, other)).toMatchObject({
      safe: false,
      why: expect.stringContaining('not catalogued'),
      cloud: null,
    })
    const shorter = await safetyOf(runs.context, { ...copy, sizeBytes: copy.sizeBytes - 1 })
    expect(shorter).toMatchObject({ safe: false, why: expect.stringContaining('bytes') })
    await sql`DELETE FROM replicas`.execute(runs.context.database)
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: false })
  })

  test('a file with a bad and a good copy on tape is safe by the good one', async () => {
    const copy = await put()
    await sql`INSERT INTO replicas (identity, run_id, tag, run_number, bucket, object_key, kind, endpoint, url, name, size_bytes, md5,
      adler32, sha256, state, requested_at, requested_by, updated_at)
      SELECT UNHEX(SHA2(${key}, 256)), run_id, tag, run_number, bucket, object_key, kind, endpoint, url, 'beside', size_bytes, md5,
      adler32, sha256, 'suspicious', requested_at, requested_by, updated_at
      FROM replicas WHERE kind = 'tape' AND object_key = ${key}`.execute(runs.context.database)
    expect(await safetyOf(runs.context, copy)).toMatchObject({ safe: true, tape: [{}, {}] })
  })
})
