/**
 * Leases: which process works on a row, and until when. The same for every table whose rows are work (columns
 * lease_owner and lease_until): a claim writes owner and end, the holder renews the lease while working, and
 * the outcome is written only where the row still names the owner, so that a holder that lost its lease
 * cannot overwrite the work of the next one. The database's clock decides, since the clocks of processes
 * differ.
 *
 * @example
 * const lease: Lease = { table: 'replicas', id, owner: leaseOwner(context) }
 * const claimed = await database.updateTable('replicas').set(leaseFor(lease.owner, 120))
 *   .where('id', '=', id).where(isFree()).executeTakeFirst()
 * if (claimed.numUpdatedRows === 1n) await whileHeld(database, lease, 120, signal, (held) => copy(held))
 */
import { randomUUID } from 'node:crypto'
import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { ConflictError } from '../errors.ts'

export interface Lease {
  readonly table: 'arrivals' | 'replicas' | 'tasks'
  /** Id of the row. */
  readonly id: number
  /** Unique for each claim; see `leaseOwner`. */
  readonly owner: string
}

/** The column holds 100 characters; the suffix makes the owner unique. */
const LONGEST_PROCESS = 80

/** A new owner for one claim: a process may hold several leases at once, each under its own owner. */
export const leaseOwner = ({ owner }: { readonly owner: string }): string =>
  `${owner.slice(0, LONGEST_PROCESS)}-${randomUUID().slice(0, 8)}`

export const DATABASE_NOW = sql<Date>`UTC_TIMESTAMP(3)`

/** The columns of a lease that starts, or is renewed, now. */
export const leaseFor = (owner: string, seconds: number) => ({
  leaseOwner: owner,
  leaseUntil: leaseEnd(seconds),
})
export const NO_LEASE = { leaseOwner: null, leaseUntil: null } as const

const leaseEnd = (seconds: number) => sql<Date>`UTC_TIMESTAMP(3) + INTERVAL ${seconds} SECOND`

/**
 * The row has no lease, or an expired one. @param table needed when the statement names several tables.
 */
export const isFree = (table?: string): RawBuilder<SqlBool> => {
  const until = table === undefined ? sql`lease_until` : sql`${sql.table(table)}.lease_until`
  return sql<SqlBool>`(${until} IS NULL OR ${until} < UTC_TIMESTAMP(3))`
}

/**
 * States in which rows are held; tasks that wait while they are requested together. Copies are also held while they
 * are verified, which may wait.
 */
const HELD_STATES = {
  arrivals: ['processing'],
  replicas: ['deleting'],
  tasks: ['running', 'pending', 'waiting'],
} as const satisfies Record<Lease['table'], readonly string[]>

/**
 * Shortens leases that end later than a lease can: they were written while the database's clock was ahead. They
 * are not expired, since a holder may be working: what is left is as long as any lease, so that a holder renews
 * it before its end, or has ended. Returns how many were shortened.
 * @param longestSeconds no lease of any process is longer.
 */
export async function shortenLeases(database: Database, longestSeconds: number): Promise<number> {
  const end = leaseEnd(longestSeconds)
  let shortened = 0
  for (const table of ['arrivals', 'replicas', 'tasks'] as const) {
    // Read first: an update that searches would lock what it passes.
    const rows = await database
      .selectFrom(table)
      .select('id')
      .where('state', 'in', [...HELD_STATES[table]])
      .where('leaseUntil', '>', end)
      .execute()
    for (const { id } of rows) {
      const update = database.updateTable(table).set({ leaseUntil: end }).where('id', '=', id)
      const { numUpdatedRows } = await update.where('leaseUntil', '>', end).executeTakeFirstOrThrow()
      shortened += Number(numUpdatedRows)
    }
  }
  return shortened
}

/**
 * @throws ConflictError when a statement with the owner in its condition matched no row: the lease was lost.
 */
export function assertHeld({ numUpdatedRows }: { readonly numUpdatedRows: bigint }): void {
  if (numUpdatedRows === 0n) throw new ConflictError('the lease was lost to another function')
}

/** Extends the lease to `seconds` from now. @throws ConflictError when it was lost to another. */
export async function renew(database: Database, lease: Lease, seconds: number): Promise<void> {
  const { numAffectedRows = 0n } = await sql`UPDATE ${sql.table(lease.table)}
    SET lease_until = ${leaseEnd(seconds)} WHERE id = ${lease.id} AND lease_owner = ${lease.owner}`.execute(
    database,
  )
  assertHeld({ numUpdatedRows: numAffectedRows })
}

/**
 * Renews the lease while `work` runs. The signal passed to `work` aborts when the lease is lost or when the
 * caller's signal aborts.
 */
export const whileHeld = <T>(
  database: Database,
  lease: Lease,
  seconds: number,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> => whileRenewed(() => renew(database, lease, seconds), seconds, signal, work)

/** The same with a renewal of the caller, which throws ConflictError when the lease was lost. */
export async function whileRenewed<T>(
  renewal: () => Promise<void>,
  seconds: number,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  const timer = setInterval(
    () => {
      renewal().catch((error) => {
        // Other errors may be transient: three more renewals fit into the lease.
        if (error instanceof ConflictError) lost.abort(error)
      })
    },
    (seconds * 1000) / 4,
  )
  try {
    return await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    clearInterval(timer)
  }
}
