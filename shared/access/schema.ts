/** The table of API tokens as TypeScript sees it. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

/** What a holder of a token may do; the token itself is nowhere, its SHA-256 is the row's key. */
export interface ApiTokensTable {
  id: Generated<number>
  /** For people: which machine or person has it. */
  name: string
  token_hash: Buffer
  /** `push:LNGS`, `overwrite:LNGS`: see shared/access/scopes.ts. */
  scopes: ColumnType<readonly string[], string, string>
  created_at: Date
  expires_at: Date
  revoked_at: ColumnType<Date | null, Date | null | undefined, Date | null>
  last_used_at: ColumnType<Date | null, Date | null | undefined, Date | null>
}

export type ApiToken = Selectable<ApiTokensTable>
