/** Long lists of runs fit into the audit; before, they were cut inside a number. */
import { type Kysely, sql } from 'kysely'

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE audited_uses MODIFY object TEXT NOT NULL, MODIFY outcome TEXT NULL`.execute(database)
}
