/** What the verification of a copy, a doubt about it and the end of a deletion rest on (ADR 17). */
import { type Kysely, sql } from 'kysely'
import { VIEWS } from './views.ts'

const COLUMNS: readonly (readonly [table: string, column: string])[] = [
  ['replicas', 'verified_evidence'],
  ['replicas', 'doubted_evidence'],
  ['recalls', 'verified_evidence'],
  ['tombstones', 'survivor_evidence'],
  ['tombstones', 'end_evidence'],
]

/** Rows changed in one statement, so that functions need not wait for the whole table. */
const PAGE = 20_000

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const [table, column] of COLUMNS)
    await sql`ALTER TABLE ${sql.table(table)} ADD COLUMN IF NOT EXISTS ${sql.ref(column)} VARCHAR(16) NULL`.execute(
      database,
    )
  await forEachPage(database, 'replicas', async (from, to) => {
    await sql`UPDATE replicas SET
      verified_evidence = IF(verified_at IS NULL, NULL, ${kindOf('verified_by', sql`kind = 'local'`)}),
      doubted_evidence = CASE WHEN state = 'suspicious' THEN 'read'
        WHEN state = 'missing' THEN IF(kind = 'local', 'statement', 'existence')
        WHEN kind <> 'local' AND verified_at IS NOT NULL
          AND ${kindOf('verified_by', sql`FALSE`)} = 'stored-checksum' AND ${CLEARED_WITHOUT_READING} THEN 'read' END
      WHERE id BETWEEN ${from} AND ${to} AND verified_evidence IS NULL AND doubted_evidence IS NULL`.execute(
      database,
    )
  })
  await forEachPage(database, 'recalls', async (from, to) => {
    await sql`UPDATE recalls SET verified_evidence = ${kindOf('verified_by', sql`FALSE`)}
      WHERE id BETWEEN ${from} AND ${to} AND verified_at IS NOT NULL AND verified_evidence IS NULL`.execute(
      database,
    )
  })
  for (const view of VIEWS) await sql.raw(`CREATE OR REPLACE VIEW ${view}`).execute(database)
}

/** The kind of evidence, by the sentence that names the comparison: the only trace of it until now. */
const kindOf = (column: string, isStated: ReturnType<typeof sql>) =>
  sql`CASE WHEN ${isStated} OR ${sql.ref(column)} = 'Rucio: rule OK, replica AVAILABLE' THEN 'statement'
    WHEN ${sql.ref(column)} LIKE 'read %' OR ${sql.ref(column)} LIKE '%read back%' THEN 'read'
    ELSE 'stored-checksum' END`

/**
 * A suspicious copy was cleared by a stated checksum, which remains when bytes rot, and by no read since: as far
 * as the history of its run states. It is to be read.
 */
const CLEARED_WITHOUT_READING = sql`EXISTS (SELECT 1 FROM run_history h WHERE h.run_id = replicas.run_id
  AND LOCATE(CONCAT(replicas.url, ': was suspicious, verified by '), h.detail) = 1
  AND h.detail NOT LIKE '%verified by read %' AND h.detail NOT LIKE '%read back%'
  AND NOT EXISTS (SELECT 1 FROM run_history later WHERE later.run_id = h.run_id AND later.id > h.id
    AND LOCATE(CONCAT(replicas.url, ': was '), later.detail) = 1
    AND (later.detail LIKE '%verified by read %' OR later.detail LIKE '%read back%')))`

async function forEachPage(
  database: Kysely<unknown>,
  table: string,
  change: (from: number, to: number) => Promise<void>,
): Promise<void> {
  const { rows } = await sql<{
    last: number | null
  }>`SELECT MAX(id) AS last FROM ${sql.table(table)}`.execute(database)
  const last = Number(rows[0]?.last ?? 0)
  for (let from = 1; from <= last; from += PAGE) await change(from, from + PAGE - 1)
}
