/**
 * Leases: who works on a row, until when. One way for every table whose rows are work (columns lease_owner
 * and lease_until): a claim writes owner and end, whoever holds it renews it while working, and writes of the
 * outcome name the owner, so that a holder who lost the lease cannot write over what another has begun. The
 * database's clock decides, since those of processes differ.
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
  /** Of the row. */
  readonly id: number
  /** Names this piece of work; see `leaseOwner`. */
  readonly owner: string
}

/** The column holds 100 characters, the end of which tells one piece of work from another. */
const LONGEST_PROCESS = 80

/** Names one piece of work: a process may do several at once, and each holds its own. */
export const leaseOwner = ({ owner }: { readonly owner: string }): string =>
  `${owner.slice(0, LONGEST_PROCESS)}-${randomUUID().slice(0, 8)}`

export const DATABASE_NOW = sql<Date>`UTC_TIMESTAMP(3)`

/** The columns of a lease that begins, or goes on, now. */
export const leaseFor = (owner: string, seconds: number) => ({
  leaseOwner: owner,
  leaseUntil: leaseEnd(seconds),
})
export const NO_LEASE = { leaseOwner: null, leaseUntil: null } as const

const leaseEnd = (seconds: number) => sql<Date>`UTC_TIMESTAMP(3) + INTERVAL ${seconds} SECOND`

/**
 * Nobody holds the row, or whoever did has died. @param table as the statement names it, where it names
 * several.
 */
export const isFree = (table?: string): RawBuilder<SqlBool> => {
  const until = table === undefined ? sql`lease_until` : sql`${sql.table(table)}.lease_until`
  return sql<SqlBool>`(${until} IS NULL OR ${until} < UTC_TIMESTAMP(3))`
}

/**
 * @throws ConflictError when a statement that names the owner found no row: the lease was lost to another.
 */
export function assertHeld({ numUpdatedRows }: { readonly numUpdatedRows: bigint }): void {
  if (numUpdatedRows === 0n) throw new ConflictError('the lease was lost to another function')
}

/** Holds the lease for so long from now on. @throws ConflictError when it was lost to another. */
export async function renew(database: Database, lease: Lease, seconds: number): Promise<void> {
  const { numAffectedRows = 0n } = await sql`UPDATE ${sql.table(lease.table)}
    SET lease_until = ${leaseEnd(seconds)} WHERE id = ${lease.id} AND lease_owner = ${lease.owner}`.execute(
    database,
  )
  assertHeld({ numUpdatedRows: numAffectedRows })
}

/**
 * Renews the lease while `work` runs. The signal that work gets aborts when the lease is lost, or with the
 * caller's.
 */
export async function whileHeld<T>(
  database: Database,
  lease: Lease,
  seconds: number,
  signal: AbortSignal,
  work: (held: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController()
  const renewal = setInterval(
    () => {
      renew(database, lease, seconds).catch((error) => {
        // What passes is tried again at the next beat, three of which fit into a lease.
        if (error instanceof ConflictError) lost.abort(error)
      })
    },
    (seconds * 1000) / 4,
  )
  try {
    return await work(AbortSignal.any([signal, lost.signal]))
  } finally {
    clearInterval(renewal)
  }
}
