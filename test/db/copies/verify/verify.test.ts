import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { recordArrivals } from '../../../../shared/catalogue/arrivals.ts'
import { claimReplica } from '../../../../shared/catalogue/replica-work.ts'
import type { Context } from '../../../../shared/context.ts'
import { noteLocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import type { VerifySelection } from '../../../../shared/copies/verify/select.ts'
import { type Verification, verifyReplica, verifyRuns } from '../../../../shared/copies/verify/verify.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { runlogRow, TEST_LEASE_SECONDS } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { log, START, startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

let run = 700
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  runs.time = START
  Object.assign(runs.tape, { fault: null, onMedia: true })
  for (const table of ['tombstones', 'replicas'] as const)
    await runs.context.database.deleteFrom(table).execute()
  await runs.alerts()
})

const options = { readBack: 'always', secondCheckMs: 1 } as const
async function verify(
  kind: 'cloud' | 'tape',
  context: Context<'database' | 'queues' | 's3' | 'tape'> = runs.context,
): Promise<Verification | null> {
  return await verifyReplica(context, (await runs.replica(key, kind)).id, options, signal, log)
}
const remove = () => runs.context.s3.send(new DeleteObjectCommand({ Bucket: runs.context.bucket, Key: key }))
const tapeFile = () => join(runs.context.tapeFolder, runs.context.bucket, key)
function damageTape(): void {
  chmodSync(tapeFile(), 0o640)
  writeFileSync(tapeFile(), 'x'.repeat(key.length))
}
/** The same context with a tape whose next checks return these, and later ones the truth. */
function withLooks(
  ...looks: readonly ('absent' | 'different' | 'fails')[]
): Context<'database' | 'queues' | 's3' | 'tape'> {
  const left = [...looks]
  const check: typeof runs.tape.check = async (file, checkOptions, held) => {
    const next = left.shift()
    if (next === 'fails') throw new TransientError('the endpoint says no')
    if (next === 'absent') return { kind: 'absent' }
    return next === 'different'
      ? { kind: 'different', evidence: 'stored-checksum', reason: 'a wrong digest' }
      : await runs.tape.check(file, checkOptions, held)
  }
  return { ...runs.context, tape: { ...runs.tape, check } }
}

describe('a good copy', () => {
  test.each(['cloud', 'tape'] as const)(
    'a good copy is read whole and gets the date of it (%s)',
    async (kind) => {
      await runs.put(key)
      runs.time += 86_400_000
      expect(await verify(kind)).toMatchObject({ outcome: 'verified', bytesRead: key.length, answered: true })
      const at = new Date(runs.time)
      expect(await runs.replica(key, kind)).toMatchObject({
        state: kind === 'cloud' ? 'present' : 'on-media',
        verifiedAt: at,
        checkedAt: at,
        verifiedBy: expect.stringContaining('read back'),
        lastError: null,
        leaseOwner: null,
      })
      expect(await runs.history(key)).not.toContain('copy verified again')
      expect(await runs.alerts()).toEqual([])
    },
  )

  test('a copy is not read where the store itself states its digest', async () => {
    await runs.put(key)
    const { id } = await runs.replica(key, 'cloud')
    const result = await verifyReplica(runs.context, id, { readBack: 'if-needed' }, signal, log)
    expect(result).toMatchObject({
      outcome: 'verified',
      bytesRead: 0,
      detail: expect.stringContaining('etag'),
    })
  })

  test('a copy on the disk buffer does not count as on tape, and is followed to the medium', async () => {
    await runs.put(key)
    runs.tape.onMedia = false
    await verify('tape')
    expect(await runs.replica(key, 'tape')).toMatchObject({
      state: 'staged',
      verifiedAt: new Date(START),
      nextAttemptAt: new Date(START),
    })
    expect((await runlogRow(runs.context.database, run))?.storage_tape_status).toBe(-1)
    runs.tape.onMedia = true
    await verify('tape')
    expect(await runs.replica(key, 'tape')).toMatchObject({ state: 'on-media', nextAttemptAt: null })
    expect((await runlogRow(runs.context.database, run))?.storage_tape_status).toBe(1)
    expect((await runs.history(key)).slice(-2)).toEqual(["on the endpoint's disk buffer", 'on tape'])
  })
})

describe('a missing copy', () => {
  test('a copy lost from the store is missing, its run can be recalled from tape, and one alert is raised', async () => {
    await runs.put(key)
    await remove()
    expect(await verify('cloud')).toMatchObject({ outcome: 'missing', bytesRead: 0 })
    expect(await runs.replica(key, 'cloud')).toMatchObject({
      state: 'missing',
      verifiedAt: expect.any(Date),
      checkedAt: new Date(START),
    })
    expect((await runlogRow(runs.context.database, run))?.storage_cloud_status).toBe(-1)
    expect(await runs.history(key)).toContain('copy missing')
    await verify('cloud')
    const alerts = await runs.alerts()
    expect(alerts).toMatchObject([{ rule: 'copy-missing', severity: 'error' }])
    expect(alerts[0]?.summary).toContain(`cygnet recall ${run} --tag LNGS`)
  })

  test('a missing copy that is there again returns to its state, with a line in the history', async () => {
    await runs.put(key)
    const aside = `${tapeFile()}.aside`
    renameSync(tapeFile(), aside)
    await verify('tape')
    expect(await runs.replica(key, 'tape')).toMatchObject({ state: 'missing' })
    renameSync(aside, tapeFile())
    await verify('tape')
    expect(await runs.replica(key, 'tape')).toMatchObject({ state: 'on-media', lastError: null })
    expect((await runs.history(key)).slice(-2)).toEqual(['copy missing', 'on tape'])
    // A later loss raises another alert.
    runs.time += 1000
    await verify('tape')
    renameSync(tapeFile(), aside)
    await verify('tape')
    expect((await runs.alerts()).map(({ rule }) => rule)).toEqual(['copy-missing', 'copy-missing'])
  })

  test('a copy that is missing only for a moment is not recorded as missing', async () => {
    await runs.put(key)
    expect(await verify('tape', withLooks('absent'))).toMatchObject({ outcome: 'verified' })
    expect(await verify('tape', withLooks('absent', 'fails'))).toMatchObject({
      outcome: 'unknown',
      answered: false,
    })
    expect(await runs.replica(key, 'tape')).toMatchObject({ state: 'on-media' })
  })

  test('a copy of a missing bucket is not recorded as missing: it may be another store', async () => {
    await runs.put(key)
    const { id } = await runs.replica(key, 'cloud')
    await runs.context.database
      .updateTable('replicas')
      .set({ bucket: 'no-such-bucket' })
      .where('id', '=', id)
      .execute()
    const result = await verify('cloud')
    expect(result).toMatchObject({ outcome: 'unknown', detail: expect.stringContaining('no bucket') })
    expect(await runs.replica(key, 'cloud')).toMatchObject({
      state: 'present',
      lastError: expect.stringContaining('no bucket'),
    })
  })
})

describe('a copy with other bytes', () => {
  test('a copy on tape with other bytes is suspicious and not moved; the copy in the store must be kept', async () => {
    await runs.put(key)
    damageTape()
    expect(await verify('tape')).toMatchObject({ outcome: 'suspicious', bytesRead: 2 * key.length })
    expect(await runs.replica(key, 'tape')).toMatchObject({
      state: 'suspicious',
      lastError: expect.stringContaining('SHA-256'),
    })
    expect((await runlogRow(runs.context.database, run))?.storage_tape_status).toBe(-2)
    expect(existsSync(tapeFile())).toBe(true)
    const alerts = await runs.alerts()
    expect(alerts).toMatchObject([{ rule: 'copy-suspicious', severity: 'error' }])
    expect(alerts[0]?.summary).toContain(`s3://${runs.context.bucket}/${key}`)
  })

  test('a copy in the store with other bytes is suspicious, and its run can be recalled from tape', async () => {
    await runs.put(key)
    await runs.context.put(key, 'x'.repeat(key.length))
    expect(await verify('cloud')).toMatchObject({ outcome: 'suspicious' })
    expect((await runlogRow(runs.context.database, run))?.storage_cloud_status).toBe(-2)
    expect((await runs.alerts())[0]).toMatchObject({
      rule: 'copy-suspicious',
      summary: expect.stringContaining('cygnet recall'),
    })
  })

  test('a copy with other bytes in the first reading only is good', async () => {
    await runs.put(key)
    expect(await verify('tape', withLooks('different'))).toMatchObject({ outcome: 'verified' })
    expect(await verify('tape', withLooks('different', 'absent'))).toMatchObject({ outcome: 'unknown' })
    expect(await runs.replica(key, 'tape')).toMatchObject({ state: 'on-media' })
  })

  test('an object that is a newer version waiting to be catalogued is not compared', async () => {
    await runs.put(key)
    const arrival = await runs.context.put(key, 'a newer version')
    await recordArrivals(runs.context.database, [arrival], new Date())
    expect(await verify('cloud')).toMatchObject({
      outcome: 'unknown',
      detail: expect.stringContaining('newer version'),
    })
    expect(await runs.replica(key, 'cloud')).toMatchObject({ state: 'present' })
    expect(await runs.alerts()).toEqual([])
  })

  test('a copy that disagreed with its stated checksum when it was catalogued never becomes verified by comparison with itself', async () => {
    await runs.put(key, { onTape: false })
    const { database } = runs.context
    await database
      .updateTable('runFiles')
      .set({ integrity: 'mismatch' })
      .where('objectKey', '=', key)
      .execute()
    await database
      .updateTable('replicas')
      .set({ state: 'suspicious', verifiedAt: null })
      .where('objectKey', '=', key)
      .execute()
    expect(await verify('cloud')).toMatchObject({ outcome: 'suspicious' })
    expect(await runs.replica(key, 'cloud')).toMatchObject({ state: 'suspicious', verifiedAt: null })
  })
})

describe('the last verified copy of a run', () => {
  test('a lost last copy raises a page that advises to delete nothing', async () => {
    await runs.put(key, { onTape: false })
    await runs.context.put(key, 'x'.repeat(key.length))
    await verify('cloud')
    expect(await runs.replica(key, 'cloud')).toMatchObject({ state: 'suspicious' })
    const alerts = await runs.alerts()
    expect(alerts).toMatchObject([{ rule: 'last-copy-in-danger', severity: 'page' }])
    expect(alerts[0]?.summary).toContain('Delete nothing of this run anywhere')
    expect(alerts[0]?.summary).toContain(`cygnet verify --run ${run} --tag LNGS`)
  })

  test('the loss of the last copy is noticed when both copies vanish at the same time', async () => {
    await runs.put(key)
    await remove()
    renameSync(tapeFile(), `${tapeFile()}.gone`)
    await Promise.all([verify('cloud'), verify('tape')])
    expect((await runs.alerts()).map(({ rule }) => rule).toSorted()).toEqual([
      'copy-missing',
      'last-copy-in-danger',
    ])
  })

  test('a file that was once on the DAQ does not count as a copy, but is named as the place to search', async () => {
    const { sha256 } = await runs.put(key)
    const copy = {
      bucket: runs.context.bucket,
      key,
      sha256,
      sizeBytes: key.length,
      host: 'daq01',
      path: `/data/run00${run}.mid.gz`,
    }
    await noteLocalCopy(runs.context, copy)
    runs.time += 30 * 86_400_000
    await remove()
    await verify('cloud')
    renameSync(tapeFile(), `${tapeFile()}.gone`)
    await verify('tape')
    const alerts = await runs.alerts()
    expect(alerts).toMatchObject([
      { rule: 'copy-missing', severity: 'error', summary: expect.not.stringContaining('daq01') },
      { rule: 'last-copy-in-danger', severity: 'page' },
    ])
    const seen = new Date(START).toISOString().slice(0, 19).replace('T', ' ')
    expect(alerts[1]?.summary).toContain(
      `(${copy.path} on daq01: last seen there ${seen} UTC, it may have been removed since)`,
    )
  })

  test('only copies of the same contents count as other copies', async () => {
    await runs.put(key, { body: 'the former contents' })
    await runs.put(key, { body: 'the contents by now', onTape: false })
    await remove()
    const cloud = await runs.context.database
      .selectFrom('copies')
      .select('id')
      .where('objectKey', '=', key)
      .where('state', '=', 'present')
      .executeTakeFirstOrThrow()
    await verifyReplica(runs.context, cloud.id, options, signal, log)
    expect(await runs.alerts()).toMatchObject([{ rule: 'last-copy-in-danger' }])
  })
})

describe('a copy that cannot be checked', () => {
  test('a copy keeps its state when the endpoint does not answer', async () => {
    await runs.put(key)
    runs.tape.fault = 'down'
    runs.time += 5000
    expect(await verify('tape')).toMatchObject({ outcome: 'unknown', answered: false })
    expect(await runs.replica(key, 'tape')).toMatchObject({
      state: 'on-media',
      verifiedAt: new Date(START),
      checkedAt: new Date(START + 5000),
      lastError: expect.stringContaining('does not answer'),
      leaseOwner: null,
    })
    expect(await runs.alerts()).toEqual([])
  })

  test('nothing is written while another function works on the copy', async () => {
    await runs.put(key)
    const before = await runs.replica(key, 'cloud')
    await claimReplica(runs.context.database, before.id, ['present'], {
      owner: 'the cleaner',
      leaseSeconds: TEST_LEASE_SECONDS,
    })
    expect(await verify('cloud')).toMatchObject({
      outcome: 'unknown',
      detail: expect.stringContaining('working on this copy'),
    })
    expect(await runs.replica(key, 'cloud')).toMatchObject({
      checkedAt: before.checkedAt,
      leaseOwner: 'the cleaner',
    })
  })

  test('a copy that Cygnet deleted has no result', async () => {
    await runs.put(key)
    await runs.context.database
      .updateTable('replicas')
      .set({ state: 'deleted' })
      .where('kind', '=', 'cloud')
      .execute()
    expect(await verify('cloud')).toBeNull()
    expect(await verifyReplica(runs.context, 987_654_321, options, signal, log)).toBeNull()
  })

  test('an interrupted verification leaves the row unchanged and free', async () => {
    await runs.put(key)
    const before = await runs.replica(key, 'tape')
    const stop = new AbortController()
    const check: typeof runs.tape.check = (_file, _options, held) =>
      new Promise((_, reject) => {
        held.addEventListener('abort', () => reject(held.reason as Error))
        stop.abort(new TransientError('the host stops'))
      })
    const context = { ...runs.context, tape: { ...runs.tape, check } }
    await expect(verifyReplica(context, before.id, options, stop.signal, log)).rejects.toThrow(
      'the host stops',
    )
    const { leaseOwner, leaseUntil, checkedAt, state } = await runs.replica(key, 'tape')
    expect({ leaseOwner, leaseUntil, checkedAt, state }).toEqual({
      leaseOwner: null,
      leaseUntil: null,
      checkedAt: before.checkedAt,
      state: 'on-media',
    })
  })
})

describe('the copies that are verified', () => {
  async function outcomes(selection: VerifySelection, more: { readonly concurrency?: number } = {}) {
    const results: string[] = []
    const summary = await verifyRuns(
      runs.context,
      selection,
      { ...options, ...more },
      signal,
      ({ replica, outcome }) => results.push(`${replica.kind} ${replica.objectKey} ${outcome}`),
    )
    return { results: results.toSorted(), summary }
  }

  test('the copies of a run are those of every tag that has the number, or of one', async () => {
    const other = `LNF/run00${run}.mid.gz`
    await runs.put(key)
    await runs.put(other)
    await runs.put(`LNGS/run9${run}.mid.gz`)
    expect((await outcomes({ run, tag: 'LNF' })).results).toEqual([
      `cloud ${other} verified`,
      `tape ${other} verified`,
    ])
    expect(await outcomes({ run })).toMatchObject({
      summary: {
        checked: 4,
        verified: 4,
        missing: 0,
        suspicious: 0,
        unknown: 0,
        bytes: 2 * (key.length + other.length),
      },
    })
    expect((await outcomes({ run: 4_000_000_000 })).summary.checked).toBe(0)
  })

  test('the copies of all runs include contents that were replaced in the store and are still on tape', async () => {
    await runs.put(key, { body: 'the former contents' })
    await runs.put(key, { body: 'the contents by now' })
    expect((await outcomes({ all: true })).results).toEqual([
      `cloud ${key} verified`,
      `tape ${key} verified`,
      `tape ${key} verified`,
    ])
  })

  test('a sample is the same for the same seed, about as large as requested, and never empty', async () => {
    const keys = Array.from(
      { length: 40 },
      (_, index) => `LAB2/run${run}${String(index).padStart(2, '0')}.mid.gz`,
    )
    for (const each of keys) await runs.put(each, { onTape: false })
    const quick = { readBack: 'if-needed' } as const
    const sample = async (share: number, seed: string) => {
      const chosen: string[] = []
      await verifyRuns(runs.context, { sample: share, seed }, quick, signal, ({ replica }) =>
        chosen.push(replica.objectKey),
      )
      return chosen.toSorted()
    }
    const half = await sample(0.5, 'a')
    expect(half.length).toBeGreaterThan(8)
    expect(half.length).toBeLessThan(32)
    expect(await sample(0.5, 'a')).toEqual(half)
    expect(await sample(0.5, 'b')).not.toEqual(half)
    expect(await sample(1, 'a')).toHaveLength(40)
    expect(await sample(1e-9, 'a')).toHaveLength(1)
  })

  test('a verification continues at other places while one does not answer, which is tried a few times only', async () => {
    const keys = Array.from({ length: 8 }, (_, index) => `LAB3/run${run}${index}.mid.gz`)
    for (const each of keys) await runs.put(each)
    runs.tape.fault = 'down'
    const { summary } = await outcomes({ all: true }, { concurrency: 1 })
    expect(summary).toMatchObject({ checked: 16, verified: 8, unknown: 8, missing: 0 })
    const rows = await runs.context.database
      .selectFrom('copies')
      .select('lastError')
      .where('kind', '=', 'tape')
      .execute()
    expect(rows.filter(({ lastError }) => lastError !== null)).toHaveLength(3)
  })

  test('a verification stops with the signal', async () => {
    await runs.put(key)
    await expect(
      verifyRuns(runs.context, { all: true }, options, AbortSignal.abort(new TransientError('enough'))),
    ).rejects.toThrow('enough')
  })
})
