/** What was seen of Tape REST APIs, in the catalogue: no process relies on what it has seen itself. */
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import type { TapeRestMemory } from '../tape/tape-rest.ts'

const NOW = sql<Date>`UTC_TIMESTAMP(3)`

export function createTapeRestMemory(database: Database): TapeRestMemory {
  const rowOf = (endpoint: string) =>
    database.selectFrom('tapeEndpoints').selectAll().where('endpoint', '=', endpoint)
  return {
    async found(endpoint) {
      if ((await rowOf(endpoint).executeTakeFirst())?.tapeRestFoundAt != null) return
      await database
        .insertInto('tapeEndpoints')
        .values({ endpoint, tapeRestFoundAt: NOW, tapeRestAbsentSince: null })
        .onDuplicateKeyUpdate({ tapeRestFoundAt: NOW })
        .execute()
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
