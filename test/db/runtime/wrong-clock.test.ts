/**
 * A function on a machine whose clock is days wrong works by the time of the database: it does nothing early,
 * takes nothing from others, and writes no time that was not.
 */
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createToken, findToken, stateOf } from '../../../shared/access/tokens.ts'
import { findArrival, recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import { cleanRuns } from '../../../shared/copies/clean/clean-runs.ts'
import { deleteCloudCopy } from '../../../shared/copies/delete/delete-cloud-copy.ts'
import { noteLocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { sweepCopies } from '../../../shared/copies/tape/sweep-copies.ts'
import { scrub } from '../../../shared/copies/verify/scrub.ts'
import { verifyReplica } from '../../../shared/copies/verify/verify.ts'
import type { Database } from '../../../shared/database/connect.ts'
import { processDue } from '../../../shared/ingest/due-arrivals.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { database, type OpenContext, openContext, queues, s3 } from '../../../shared/runtime/open-context.ts'
import { openBreakers } from '../../../shared/work/breaker.ts'
import { signal } from '../../support/context.ts'
import { isStored, replicaById, type SafeRun, safeRun } from '../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

const DAY_MS = 86_400_000
/** Nothing is planned for later than a day; what runs state themselves is years ago. */
const [WRONG_FROM_HOURS, WRONG_UNTIL_HOURS] = [30, 240]

/** `table.column` of every time in the catalogue that is days from now. */
async function wrongTimes(catalogue: Database): Promise<readonly string[]> {
  const { rows: columns } = await sql<{ tableName: string; columnName: string }>`
    SELECT c.table_name, c.column_name FROM information_schema.columns c
    JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'
      AND c.data_type IN ('datetime', 'timestamp')`.execute(catalogue)
  expect(columns.length).toBeGreaterThan(20)
  const wrong: string[] = []
  for (const { tableName, columnName } of columns) {
    const hours = sql`ABS(TIMESTAMPDIFF(HOUR, ${sql.ref(columnName)}, UTC_TIMESTAMP(3)))`
    const { rows } = await sql`SELECT 1 FROM ${sql.table(tableName)}
      WHERE ${hours} BETWEEN ${WRONG_FROM_HOURS} AND ${WRONG_UNTIL_HOURS} LIMIT 1`.execute(
      catalogue.withoutPlugins(),
    )
    if (rows.length > 0) wrong.push(`${tableName}.${columnName}`)
  }
  return wrong
}

describe.each([
  ['ahead', 2],
  ['behind', -2],
])('a function whose clock is two days %s', (_, days) => {
  let right: TestTapeContext
  let opened: OpenContext<'database' | 'queues' | 's3'>
  /** The same services, as a process on the machine with the wrong clock has them. */
  let wrong: TestTapeContext
  let run: SafeRun
  const notified = async (key: string): Promise<ObjectArrival> => {
    const arrival = await right.put(key, 'not a MIDAS file')
    await recordArrivals(right.database, [arrival], right.now())
    return arrival
  }
  const arrivalOf = async (arrival: ObjectArrival) =>
    await findArrival(right.database, { ...arrival, etag: arrival.etag ?? '' })
  const setArrival = (arrival: ObjectArrival, values: string) =>
    sql`UPDATE arrivals SET ${sql.raw(values)} WHERE object_key = ${arrival.key}`.execute(right.database)
  let due: ObjectArrival
  let early: ObjectArrival
  let leased: ObjectArrival
  let secret: string

  beforeAll(async () => {
    right = await startTestTapeContext({ environment: { CYGNET_CLEAN_RUNS_AFTER_DAYS: '1' } })
    run = await safeRun(right, 'LNGS/run00001.mid.gz')
    due = await notified('LNGS/run00002.mid.gz')
    early = await notified('LNGS/run00003.mid.gz')
    leased = await notified('LNGS/run00004.mid.gz')
    await setArrival(due, 'next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE')
    await setArrival(early, 'next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL 50 MINUTE')
    await setArrival(
      leased,
      `state = 'processing', lease_owner = 'another', lease_until = UTC_TIMESTAMP(3) + INTERVAL 50 MINUTE,
        next_attempt_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE`,
    )
    const token = { name: 'daq01', scopes: ['push:LNGS'], days: 1 }
    secret = (await createToken(right.database, token, right.now())).secret
    await sql`UPDATE api_tokens SET expires_at = UTC_TIMESTAMP(3) + INTERVAL 50 MINUTE`.execute(
      right.database,
    )

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * DAY_MS })
    opened = await openContext(right.config, 'wrong', [database, queues, s3], right.log)
    wrong = { ...right, ...opened, close: right.close }
  })
  afterAll(async () => {
    vi.useRealTimers()
    await opened.close()
    await right.close()
  })

  test('processes what is due, nothing that is not, and nothing that another process holds', async () => {
    await processDue(wrong, right.bucket, signal, right.log)
    expect(await arrivalOf(due)).toMatchObject({ state: 'invalid' })
    expect(await arrivalOf(early)).toMatchObject({ state: 'received', attempts: 0 })
    expect(await arrivalOf(leased)).toMatchObject({ state: 'processing', leaseOwner: 'another' })
  })

  test('waits for a broken service as long as others do', async () => {
    await sql`INSERT INTO breakers (dependency, failures, open_since, probe_at) VALUES
      ('closed soon', 5, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 90 SECOND),
      ('to be probed', 5, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE)`.execute(right.database)
    expect(await openBreakers(wrong.database, wrong.now())).toEqual({
      open: ['closed soon'],
      halfOpen: ['to be probed'],
    })
  })

  test('deletes no run before its age', async () => {
    const cleaned = await cleanRuns(wrong, { dryRun: false, now: wrong.now() }, signal, right.log)
    expect(cleaned.deleted).toEqual([])
    expect(await deleteCloudCopy(wrong, run.cloud, 'a test', signal)).toMatchObject({ kind: 'refused' })
    expect(await isStored(right, run.key)).toBe(true)
    expect(await replicaById(right, run.cloud.id)).toMatchObject({ state: 'present' })
  })

  test('accepts an API token until it expires', async () => {
    const token = await findToken(wrong.database, secret)
    if (token === null) throw new Error('the token is known')
    expect(stateOf(token, wrong.now())).toBe('valid')
    await sql`UPDATE api_tokens SET expires_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE`.execute(right.database)
    const expired = await findToken(wrong.database, secret)
    if (expired === null) throw new Error('the token is known')
    expect(stateOf(expired, wrong.now())).toBe('expired')
  })

  test('writes the database’s time: arrivals, outcomes, verifications, copies, requests', async () => {
    const dropped = { ...(await right.put('LNGS/run00005.mid.gz', 'no run')), eventTime: null }
    await processArrival(wrong, dropped, signal, right.log)
    for (const { id } of [run.cloud, run.tape]) {
      const verified = await verifyReplica(wrong, id, { readBack: 'if-needed' }, signal, right.log)
      expect(verified?.outcome).toBe('verified')
    }
    const onDisk = {
      bucket: right.bucket,
      key: run.key,
      sha256: run.cloud.sha256,
      sizeBytes: run.cloud.sizeBytes,
      host: 'daq01',
      path: '/data/run00001.mid.gz',
    }
    expect(await noteLocalCopy(wrong, onDisk)).not.toBeNull()
    await sweepCopies(wrong, signal)
    await scrub(wrong, {}, signal, right.log)
    expect(await wrongTimes(right.database)).toEqual([])
  })
})
