/** The tables of access as TypeScript types. Times are UTC. */
import type { ColumnType, Generated, Selectable } from 'kysely'

/** API tokens and their scopes. The token itself is not stored; its SHA-256 is the key of the row. */
export interface ApiTokensTable {
  id: Generated<number>
  /** For people: the machine or person that has it. */
  name: string
  /**
   * The machine whose disk its holder may report; null for a token made before machines were recorded, until its
   * first report (`machineOf`).
   */
  machine: ColumnType<string | null, string, string>
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
  /**
   * `session:<id>` for one session; `person:<subject>` for all sessions of a person that began until
   * `ended_at`.
   */
  name: string
  endedAt: Date
  /** The expiry of the last session that the row ends. */
  expiresAt: Date
}
