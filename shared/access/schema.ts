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
  /** The person (`person:<subject of the IAM>`) whose rights limit a personal token; null: a machine's. */
  subject: ColumnType<string | null, string | null | undefined, never>
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

/** People with personal tokens, and what the IAM last confirmed about them: see people.ts. */
export interface PeopleTable {
  /** `person:<subject of the IAM>` */
  subject: string
  name: string
  /** The rights of the groups that the IAM stated at `confirmed_at`. */
  scopes: ColumnType<readonly string[], string, string>
  confirmedAt: Date
  /** A refresh token of the IAM, sealed by the catalogue's API; null: the person must sign in again. */
  lastingSignIn: string | null
  /** One process at a time uses that token, until then at most. */
  renewingUntil: Date | null
}

export type Person = Selectable<PeopleTable>

/** Every use of a right that changes something: see audit.ts. */
export interface AuditedUsesTable {
  id: Generated<number>
  usedAt: Date
  /** `person:…`, `token:<id>` of a machine, `shell:<user>@<host>` of a command. */
  subject: string
  name: string
  /** The API token, also a personal one. */
  tokenId: number | null
  /** Of shared/access/rights.ts. */
  action: string
  object: string
  /** As in the answer's header `x-request-id` and in the log. */
  requestId: string | null
  /** `done`, or why not; null while in progress, and after a process died. */
  outcome: string | null
}

export type AuditedUse = Selectable<AuditedUsesTable>
