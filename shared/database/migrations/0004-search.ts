/**
 * Indexes for searching runs: one for each order, and for each property that few runs have. All begin with
 * the tag and whether the use of the number is current, as every search does (search-runs.ts).
 */
import { type Kysely, sql } from 'kysely'

const INDEXES = {
  by_tag_start: 'runs (tag, is_current, started_at)',
  by_tag_size: 'runs (tag, is_current, size_bytes)',
  by_tag_events: 'runs (tag, is_current, event_count)',
  by_tag_catalogued: 'runs (tag, is_current, catalogued_at)',
  by_tag_complete: 'runs (tag, is_current, complete, run_number)',
  by_tag_pedestal: 'runs (tag, is_current, pedestal, run_number)',
  by_tag_integrity: 'runs (tag, is_current, integrity, run_number)',
  // Which runs have a copy in a state that few are in.
  by_state_run: 'replicas (kind, state, run_id)',
} as const

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const [name, columns] of Object.entries(INDEXES))
    await sql.raw(`CREATE INDEX IF NOT EXISTS ${name} ON ${columns}`).execute(database)
}

export async function down(database: Kysely<unknown>): Promise<void> {
  for (const [name, columns] of Object.entries(INDEXES))
    await sql.raw(`DROP INDEX IF EXISTS ${name} ON ${columns.split(' ')[0]}`).execute(database)
}
