/** The tables of access as TypeScript sees them. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

/** What a holder of a token may do; the token itself is nowhere, its SHA-256 is the row's key. */
export interface ApiTokensTable {
  id: Generated<number>
  /** For people: which machine or person has it. */
  name: string
  tokenHash: Buffer
  /** `push:LNGS`, `overwrite:LNGS`: see shared/access/scopes.ts. */
  scopes: ColumnType<readonly string[], string, string>
  createdAt: Date
  expiresAt: Date
  revokedAt: ColumnType<Date | null, Date | null | undefined, Date | null>
  lastUsedAt: ColumnType<Date | null, Date | null | undefined, Date | null>
}

export type ApiToken = Selectable<ApiTokensTable>

/** Sessions that were ended: see ended-sessions.ts. */
export interface EndedSessionsTable {
  /** `session:<id>` for one session; `person:<subject>` for all of a person that began until `ended_at`. */
  name: string
  endedAt: Date
  /** When the last session that the row ends would have ended by itself. */
  expiresAt: Date
}
