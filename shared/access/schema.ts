/** The tables of access as TypeScript sees them. Times are UTC. */
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

/** Sessions that were ended: see ended-sessions.ts. */
export interface EndedSessionsTable {
  /** `session:<id>` for one session; `person:<subject>` for all of a person that began until `ended_at`. */
  name: string
  ended_at: Date
  /** When the last session that the row ends would have ended by itself. */
  expires_at: Date
}
