/**
 * A catalogue of a million runs: some hundred simulated runs with their parameters, repeated under other
 * numbers by the database itself. Sites, sizes and proportions are those of the experiment.
 */
import { sql } from 'kysely'
import { type Content, replicaRow } from '../../shared/catalogue/replicas.ts'
import { writeRunlog } from '../../shared/catalogue/runlog.ts'
import { type Database, inTransaction } from '../../shared/database/connect.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import type { RunParameters } from '../../shared/extraction/run-parameters.ts'

/** Runs of each tag. */
export type Sizes = Readonly<Record<string, number>>

const BUCKET = 'cygno-data'
const TEMPLATE = 'TEMPLATE'
/** Runs created one by one, and then repeated. */
const BLOCK = 500
/** Blocks that one statement repeats. */
const AT_ONCE = 50
const FIRST_BEGIN = 1_600_000_000
const RUN_SECONDS = 300
const AT = new Date('2026-01-15T08:00:00Z')

/** Properties of few runs, by number, in the first tag. */
export const RARE = { failed: 7, suspicious: 5, mismatch: 20, voltage: 451.5, text: 'neutron gun' } as const

export async function fillCatalogue(
  database: Database,
  sizes: Sizes,
  metadata: FileMetadata,
  log: (line: string) => void,
): Promise<void> {
  log(`${BLOCK} runs`)
  for (let number = 1; number <= BLOCK; number++) await makeTemplate(database, number, metadata)
  for (const [tag, count] of Object.entries(sizes)) {
    for (let block = 0; block * BLOCK < count; block += AT_ONCE) {
      const last = Math.min(block + AT_ONCE, Math.ceil(count / BLOCK)) - 1
      log(`runs of ${tag}: ${(last + 1) * BLOCK}`)
      await inTransaction(database, async (trx) => {
        await sql`SET SESSION unique_checks = 0, foreign_key_checks = 0, max_statement_time = 0`.execute(trx)
        for (const statement of repeated(tag, block, last)) await statement.execute(trx)
      })
    }
  }
  await makeRare(database, Object.keys(sizes)[0] ?? '')
  await sql`DELETE p, f, h FROM runs r LEFT JOIN replicas p ON p.run_id = r.id LEFT JOIN run_files f ON f.run_id = r.id
    LEFT JOIN run_history h ON h.run_id = r.id WHERE r.tag = ${TEMPLATE}`.execute(database)
  await sql`DELETE FROM Runlog WHERE tag = ${TEMPLATE}`.execute(database)
  await sql`DELETE FROM runs WHERE tag = ${TEMPLATE}`.execute(database)
  for (const table of ['runs', 'run_files', 'replicas', 'Runlog'] as const)
    await sql`ANALYZE TABLE ${sql.table(table)}`.execute(database.withoutPlugins())
}

const pick = <T>(values: readonly [T, ...T[]], index: number): T => values[index % values.length] ?? values[0]

/** One in five is a pedestal, one in a hundred is cut off, one in three is still in the store. */
async function makeTemplate(database: Database, number: number, metadata: FileMetadata): Promise<void> {
  const pedestal = number % 5 === 0
  const complete = number % 100 !== 0
  const inStore = number % 3 === 0
  const parameters: RunParameters = {
    ...metadata.odb,
    runNumber: number,
    pedestal_run: Number(pedestal),
    HV_STATE: Number(!pedestal),
    GEM1_V: pick([440, 430, 420], number),
    exposure_sec: pick([0.30000001192092896, 0.20000000298023224], number),
    total_gas_flow: 20 + ((number * 37) % 100) / 10,
    run_description: pick(
      [
        'Fe55 at 17.5 cm',
        'AmBe, standard gas',
        'background',
        'Fe55 scan of GEM voltages',
        'pedestal, HV off',
      ],
      number,
    ),
  }
  const sizeBytes = 1_500_000_000 + number * 12_345
  const startedEpoch = FIRST_BEGIN + number * RUN_SECONDS
  const startedAt = new Date(startedEpoch * 1000)
  const storage = { cloud: inStore ? 'present' : 'deleted', tape: 'on-media', local: null } as const
  const key = `${TEMPLATE}/run${String(number).padStart(5, '0')}.mid.gz`
  const digests = { md5: 'm'.repeat(32), adler32: 'a'.repeat(8), sha256: 's'.repeat(64) }
  await inTransaction(database, async (trx) => {
    const common = {
      complete,
      integrity: 'verified' as const,
      sizeBytes,
      startedEpoch,
    }
    const counted = {
      eventCount: 402,
      firstEventAt: startedAt,
      lastEventAt: new Date(startedAt.getTime() + 243_000),
    }
    const run = await trx
      .insertInto('runs')
      .values({
        ...common,
        ...counted,
        ...storage,
        tag: TEMPLATE,
        runNumber: number,
        isCurrent: true,
        problem: complete ? null : 'the file ends in the middle of an event',
        firstFileAt: AT,
        fileCount: 1,
        startedAt,
        stoppedAt: counted.lastEventAt,
        pedestal,
        description: String(parameters.run_description),
        parameters: JSON.stringify(parameters),
        fileParameters: JSON.stringify(parameters),
        cataloguedAt: AT,
        updatedAt: AT,
      })
      .executeTakeFirstOrThrow()
    const runId = Number(run.insertId)
    await trx
      .insertInto('runFiles')
      .values({
        ...common,
        ...counted,
        ...digests,
        runId,
        bucket: BUCKET,
        objectKey: key,
        etag: digests.md5,
        lastModified: counted.lastEventAt,
        compression: metadata.compression,
        uncompressedBytes: sizeBytes * 3,
        digestsCompared: '[]',
        warnings: '[]',
        eventsById: JSON.stringify(metadata.eventsById),
        serialGaps: '{}',
        banks: JSON.stringify(metadata.banks),
        internalEvents: JSON.stringify(metadata.internalEvents),
        cameras: JSON.stringify(metadata.cameras),
        digitizers: JSON.stringify(metadata.digitizers),
        parameters: JSON.stringify(parameters),
        isLive: true,
        cataloguedAt: AT,
      })
      .execute()
    const content: Content = {
      run: { id: runId, tag: TEMPLATE, runNumber: number },
      bucket: BUCKET,
      key,
      sizeBytes,
      ...digests,
    }
    const verified = {
      verifiedAt: AT,
      verifiedBy: 'bench',
      verifiedEvidence: 'read' as const,
      checkedAt: AT,
      startedAt: AT,
      storedAt: AT,
    }
    const copies = [
      {
        kind: 'cloud',
        endpoint: '',
        url: `s3://${BUCKET}/${key}`,
        name: key,
        state: inStore ? 'present' : 'deleted',
      },
      { kind: 'tape', endpoint: 'file:///tape', url: `file:///tape/${key}`, name: key, state: 'on-media' },
    ] as const
    await trx
      .insertInto('replicas')
      .values(
        copies.map(({ state, ...copy }) => ({
          ...replicaRow(content, { ...copy, requestedBy: 'bench' }, AT),
          ...verified,
          state,
        })),
      )
      .execute()
    const history = ['catalogued', 'asked for a copy on tape', 'copied to tape']
    await trx
      .insertInto('runHistory')
      .values(history.map((what) => ({ runId, at: AT, what, detail: key })))
      .execute()
    const file = { fileCount: 1, sizeBytes, md5: digests.md5 }
    const values = { parameters, shownParameters: parameters, storage, file, resetReco: true }
    await writeRunlog(trx, { tag: TEMPLATE, runNumber: number, ...values })
  })
}

const RUN_COLUMNS = `is_current, complete, problem, integrity, first_file_at, file_count, event_count, pedestal, description, parameters, file_parameters, cloud, tape,
  local, catalogued_at, updated_at`
const FILE_COLUMNS = `bucket, last_modified, compression, size_bytes, uncompressed_bytes, integrity, digests_compared, complete, warnings,
  event_count, events_by_id, serial_gaps, banks, internal_events, first_event_at, last_event_at, started_epoch, cameras, digitizers,
  parameters, is_live, catalogued_at`
const COPY_COLUMNS = `bucket, kind, endpoint, size_bytes, state, requested_at, requested_by, started_at, stored_at, verified_at,
  verified_by, checked_at, updated_at`

/** Repeats the block under the numbers of the blocks `first` to `last` of the tag. */
function repeated(tag: string, first: number, last: number) {
  const [from, to] = [first * BLOCK + 1, (last + 1) * BLOCK]
  const columns = (of: string, names: string) => sql.raw(names.replaceAll(/\w+/g, (name) => `${of}.${name}`))
  const shift = sql`s.seq * ${BLOCK}`
  const seconds = sql`INTERVAL s.seq * ${BLOCK * RUN_SECONDS} SECOND`
  const key = sql`CONCAT(r.tag, '/run', LPAD(r.run_number, GREATEST(5, LENGTH(r.run_number)), '0'), '.mid.gz')`
  const newRuns = sql`runs r STRAIGHT_JOIN runs t ON t.tag = ${TEMPLATE} AND t.run_number = (r.run_number - 1) MOD ${BLOCK} + 1`
  const wanted = sql`r.tag = ${tag} AND r.run_number BETWEEN ${from} AND ${to}`
  const url = sql`CONCAT(IF(p.kind = 'cloud', 's3://cygno-data/', 'file:///tape/'), f.object_key)`
  return [
    sql`INSERT INTO runs (tag, run_number, started_epoch, size_bytes, first_event_at, last_event_at, started_at, stopped_at, ${sql.raw(RUN_COLUMNS)})
      SELECT ${tag}, t.run_number + ${shift}, t.started_epoch + s.seq * ${BLOCK * RUN_SECONDS}, t.size_bytes + s.seq, t.first_event_at + ${seconds},
        t.last_event_at + ${seconds}, t.started_at + ${seconds}, t.stopped_at + ${seconds}, ${columns('t', RUN_COLUMNS)}
      FROM ${sql.raw(`seq_${first}_to_${last}`)} s JOIN runs t WHERE t.tag = ${TEMPLATE} ORDER BY s.seq, t.run_number`,
    sql`INSERT INTO run_files (run_id, object_key, etag, md5, sha256, adler32, ${sql.raw(FILE_COLUMNS)})
      SELECT r.id, ${key}, MD5(${key}), MD5(${key}), SHA2(${key}, 256), LEFT(MD5(${key}), 8), ${columns('f', FILE_COLUMNS)}
      FROM ${newRuns} STRAIGHT_JOIN run_files f ON f.run_id = t.id WHERE ${wanted}`,
    sql`INSERT INTO replicas (identity, run_id, tag, run_number, object_key, url, name, md5, adler32, sha256, ${sql.raw(COPY_COLUMNS)})
      SELECT UNHEX(SHA2(CONCAT_WS(CHAR(0 USING utf8mb4), p.kind, p.endpoint, f.bucket, f.object_key, f.sha256), 256)), r.id, r.tag, r.run_number,
        f.object_key, ${url}, f.object_key, f.md5, f.adler32, f.sha256, ${columns('p', COPY_COLUMNS)}
      FROM ${newRuns} STRAIGHT_JOIN run_files f ON f.run_id = r.id STRAIGHT_JOIN replicas p ON p.run_id = t.id WHERE ${wanted}`,
    sql`INSERT INTO run_history (run_id, at, what, detail) SELECT r.id, h.at, h.what, h.detail
      FROM ${newRuns} STRAIGHT_JOIN run_history h ON h.run_id = t.id WHERE ${wanted}`,
    sql`CREATE OR REPLACE TEMPORARY TABLE block AS SELECT * FROM Runlog WHERE tag = ${TEMPLATE}`,
    ...Array.from({ length: last - first + 1 }, (_, index) => [
      sql`UPDATE block SET tag = ${tag}, run_number = (run_number - 1) MOD ${BLOCK} + 1 + ${(first + index) * BLOCK}`,
      sql`INSERT INTO Runlog SELECT * FROM block`,
      sql`UPDATE Runlog SET logged_at = NULL WHERE logged_at IS NOT NULL`,
    ]).flat(),
  ]
}

/**
 * Some runs of the first tag have rare properties, spread over all numbers, so that a search does not end
 * early by chance.
 */
async function makeRare(database: Database, tag: string): Promise<void> {
  const some = (every: number, count: number) =>
    sql`tag = ${tag} AND run_number IN (${sql.join(Array.from({ length: count }, (_, index) => 101 + index * every))})`
  await sql`UPDATE runs SET tape = 'failed' WHERE ${some(9001, RARE.failed)}`.execute(database)
  await sql`UPDATE runs SET cloud = 'suspicious' WHERE ${some(11_003, RARE.suspicious)}`.execute(database)
  await sql`UPDATE runs SET integrity = 'mismatch' WHERE ${some(3001, RARE.mismatch)}`.execute(database)
  await sql`UPDATE runs SET parameters = JSON_SET(parameters, '$.GEM1_V', ${RARE.voltage}) WHERE ${some(20_011, 3)}`.execute(
    database,
  )
  await sql`UPDATE runs SET description = ${`calibration with the ${RARE.text}`} WHERE ${some(20_021, 3)}`.execute(
    database,
  )
}
