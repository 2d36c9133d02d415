/** Circuit breakers that are open: what stops work now, and why. */
import type { Database } from '../database/connect.ts'

export interface OpenBreaker {
  /** `store:<bucket>` or `tape:<endpoint>`. */
  readonly dependency: string
  readonly openSince: Date
  /** When one task tries it again; null: at once. */
  readonly probeAt: Date | null
  readonly lastError: string | null
}

/** The one that opened first comes first. */
export async function openBreakers(database: Database): Promise<readonly OpenBreaker[]> {
  const rows = await database
    .selectFrom('breakers')
    .select(['dependency', 'openSince', 'probeAt', 'lastError'])
    .where('openSince', 'is not', null)
    .orderBy('openSince')
    .execute()
  return rows.flatMap(({ openSince, ...row }) => (openSince === null ? [] : [{ ...row, openSince }]))
}
