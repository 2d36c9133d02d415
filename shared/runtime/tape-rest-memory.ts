/** What was seen of Tape REST APIs, in the catalogue: no process relies on what it has seen itself. */
import { sql } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { TapeRestMemory } from '../tape/tape-rest.ts'

const NOW = sql<Date>`UTC_TIMESTAMP(3)`

export function createTapeRestMemory(database: Database): TapeRestMemory {
  const rowOf = (endpoint: string) =>
    database.selectFrom('tapeEndpoints').selectAll().where('endpoint', '=', endpoint)
  return {
    async found(endpoint) {
      const before = await rowOf(endpoint).executeTakeFirst()
      if (before?.tapeRestFoundAt != null) return
      await inTransaction(database, async (trx) => {
        await trx
          .insertInto('tapeEndpoints')
          .values({ endpoint, tapeRestFoundAt: NOW, tapeRestAbsentSince: null })
          .onDuplicateKeyUpdate({ tapeRestFoundAt: NOW })
          .execute()
        // That these copies are on the medium was concluded from the absence of the API: the scrub checks them.
        if (before !== undefined)
          await trx
            .updateTable('replicas')
            .set({ checkedAt: null })
            .where('kind', '=', 'tape')
            .where('state', '=', 'on-media')
            .execute()
      })
    },
    async absent(endpoint) {
      const before = await rowOf(endpoint).executeTakeFirst()
      if (before === undefined)
        await database
          .insertInto('tapeEndpoints')
          .ignore()
          .values({ endpoint, tapeRestFoundAt: null, tapeRestAbsentSince: NOW })
          .execute()
      const row = before ?? (await rowOf(endpoint).executeTakeFirstOrThrow())
      return row.tapeRestFoundAt === null ? row.tapeRestAbsentSince : null
    },
  }
}
