/** A migrated catalogue on a fresh database, and helpers that add files to it. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { startTestDatabase } from '../../infra/local/testing.ts'
import { claimArrival, findArrival, recordArrivals } from '../../shared/catalogue/arrivals.ts'
import { type FileToRecord, recordFile, type StillCurrent } from '../../shared/catalogue/record-file.ts'
import { claimReplica, endClaim } from '../../shared/catalogue/replica-work.ts'
import { contentOfFile, requestTapeReplica } from '../../shared/catalogue/replicas.ts'
import { type Database, openDatabase } from '../../shared/database/connect.ts'
import { migrate } from '../../shared/database/migrate.ts'
import type { ReplicaState } from '../../shared/database/replica-schema.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import type { ObjectVersion } from '../../shared/run.ts'

/** Long enough that no lease expires by itself; a test ends a lease that must be over. */
export const TEST_LEASE_SECONDS = 3600

export interface TestCatalogue {
  readonly database: Database
  readonly url: string
  readonly adminUrl: string
  close(): Promise<void>
}

export async function startTestCatalogue(): Promise<TestCatalogue> {
  const server = await startTestDatabase()
  const database = openDatabase(server.url, 8)
  await migrate(database)
  return {
    database,
    url: server.url,
    adminUrl: server.adminUrl,
    async close() {
      await database.destroy()
      await server.drop()
    },
  }
}

/** The lease on an object version, as extraction takes it. */
export async function leaseOn(database: Database, version: ObjectVersion) {
  const arrival = {
    ...version,
    sequencer: null,
    eventName: 'ObjectCreated:Put',
    eventTime: null,
    source: 'aws' as const,
  }
  await recordArrivals(database, [arrival], new Date())
  const found = await findArrival(database, version)
  if (found === null) throw new InvalidInputError('the arrival was not recorded')
  const lease = await claimArrival(database, found, version, {
    owner: randomUUID(),
    leaseSeconds: TEST_LEASE_SECONDS,
    at: new Date(),
    isHistory: false,
  })
  if (lease === null) throw new InvalidInputError('the lease is taken')
  return lease
}

/** Records a file as extraction does. `stillCurrent` returns 'yes' by default. */
export async function record(
  database: Database,
  version: ObjectVersion,
  metadata: FileMetadata,
  more: Partial<FileToRecord> & {
    readonly stillCurrent?: () => Promise<StillCurrent>
  } = {},
) {
  const { stillCurrent = async () => 'yes', ...changes } = more
  const lease = await leaseOn(database, version)
  const file: FileToRecord = {
    lease,
    tag: 'LNGS',
    version,
    metadata,
    integrity: 'verified',
    comparisons: [],
    contradicts: null,
    priority: 'live',
    isHistory: false,
    ...changes,
  }
  return await recordFile(database, file, { at: new Date(), recoMinimumEvents: 10, stillCurrent })
}

export async function runlogRow(
  database: Database,
  runNumber: number,
  tag = 'LNGS',
): Promise<Record<string, unknown> | undefined> {
  const { rows } = await sql<
    Record<string, unknown>
  >`SELECT * FROM Runlog WHERE tag = ${tag} AND run_number = ${runNumber}`.execute(database.withoutPlugins())
  return rows[0]
}

/** Records a verified copy on tape of every file that counts for the run, as request-tape-copy does. */
export async function copyToTape(database: Database, runNumber: number, tag = 'LNGS'): Promise<void> {
  const files = await database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .selectAll('runFiles')
    .where('runs.runNumber', '=', runNumber)
    .where('runs.tag', '=', tag)
    .where('isLive', '=', true)
    .execute()
  for (const file of files) {
    const name = `${file.bucket}/${file.objectKey}`
    const content = contentOfFile(file, { tag, runNumber })
    const place = { endpoint: 'file:///tape', url: `file:///tape/${name}`, name, requestedBy: 'test' }
    const { id } = await requestTapeReplica(database, content, place, new Date())
    await finishCopy(database, id, 'on-media')
  }
}

/** Records that a copy is at its endpoint and verified, and that its task is done. */
export async function finishCopy(database: Database, id: number, state: ReplicaState): Promise<void> {
  const claim = await claimReplica(database, id, ['planned'], {
    owner: randomUUID(),
    leaseSeconds: TEST_LEASE_SECONDS,
  })
  if (claim === null) throw new InvalidInputError('the copy is claimed')
  const at = new Date()
  await endClaim(
    database,
    claim,
    {
      change: { state, verifiedAt: at, verifiedBy: 'test', verifiedEvidence: 'read' },
      also: async (trx) => {
        const done = { state: 'done' as const, finishedAt: at }
        await trx.updateTable('tasks').set(done).where('subjectId', '=', id).execute()
      },
    },
    at,
  )
}
