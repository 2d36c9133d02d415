/** Where each run is, in its row: a million runs are searched by it as quickly as by their numbers. */
import { type Kysely, sql } from 'kysely'
import type { Schema } from '../schema.ts'
import { summarizeStorage } from '../storage-summary.ts'

/** Runs brought in step at once. */
const PAGE = 500

export async function up(database: Kysely<Schema>): Promise<void> {
  await sql`ALTER TABLE runs
    ADD COLUMN IF NOT EXISTS cloud VARCHAR(16) NOT NULL DEFAULT 'absent',
    ADD COLUMN IF NOT EXISTS tape VARCHAR(16) NOT NULL DEFAULT 'none',
    ADD COLUMN IF NOT EXISTS local VARCHAR(16) NULL,
    ADD INDEX IF NOT EXISTS by_tag_cloud (tag, is_current, cloud, run_number),
    ADD INDEX IF NOT EXISTS by_tag_tape (tag, is_current, tape, run_number)`.execute(database)
  await sql`DROP INDEX IF EXISTS by_state_run ON replicas`.execute(database)
  for (let after = 0; ; ) {
    const runs = await database
      .selectFrom('runs')
      .select('id')
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    if (runs.length === 0) return
    await fill(
      database,
      runs.map((run) => run.id),
    )
    after = runs.at(-1)?.id ?? after
  }
}

async function fill(database: Kysely<Schema>, runIds: readonly number[]): Promise<void> {
  const content = ['runId', 'bucket', 'objectKey', 'sha256'] as const
  const files = await database
    .selectFrom('runFiles')
    .select(content)
    .where('runId', 'in', runIds)
    .where('isLive', '=', true)
    .execute()
  const replicas = await database
    .selectFrom('replicas')
    .select([...content, 'kind', 'state'])
    .where('runId', 'in', runIds)
    .execute()
  const filesOf = Map.groupBy(files, (file) => file.runId)
  const replicasOf = Map.groupBy(replicas, (replica) => replica.runId)
  const storageOf = (id: number) => summarizeStorage(filesOf.get(id) ?? [], replicasOf.get(id) ?? [])
  for (const alike of Map.groupBy(runIds, (id) => JSON.stringify(storageOf(id))).values()) {
    const [first] = alike
    if (first !== undefined)
      await database.updateTable('runs').set(storageOf(first)).where('id', 'in', alike).execute()
  }
}

export async function down(database: Kysely<Schema>): Promise<void> {
  // An index of a column that is dropped stays, without it.
  await sql`ALTER TABLE runs
    DROP INDEX IF EXISTS by_tag_cloud, DROP INDEX IF EXISTS by_tag_tape,
    DROP COLUMN IF EXISTS cloud, DROP COLUMN IF EXISTS tape, DROP COLUMN IF EXISTS local`.execute(database)
  await sql`CREATE INDEX IF NOT EXISTS by_state_run ON replicas (kind, state, run_id)`.execute(database)
}
