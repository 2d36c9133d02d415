/**
 * The audit: who used which right on what. A use is recorded before its effect and its outcome after it, so that
 * no effect is without a row, whatever dies. Rows are never changed afterwards and never deleted.
 */
import type { Database } from '../database/connect.ts'
import { InvalidInputError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { cutList, shortened, wellFormed } from '../text.ts'
import type { Action } from './rights.ts'
import type { AuditedUse, AuditedUsesTable } from './schema.ts'

export interface UseOfRight {
  readonly subject: string
  readonly name: string
  readonly tokenId: number | null
  readonly action: Action
  /** What was changed, for people: `runs 120 to 140 of LNGS`. */
  readonly object: string
  readonly requestId: string | null
}

/** Characters of an object or an outcome; a request for 500 runs needs fewer. The columns hold 65535 bytes. */
const LONGEST_TEXT = 16_000

const tables = (database: Database) => database.withTables<{ auditedUses: AuditedUsesTable }>()
/**
 * Does the work between the two writes of its record. Without the first write nothing is done (the error is that
 * of the database); a failure of the second is logged, since the work is done.
 * @param outcomeOf what came of it, for people.
 */
export async function audited<T>(
  { database, log, now }: { readonly database: Database; readonly log: Logger; readonly now: () => Date },
  use: UseOfRight,
  work: () => Promise<T>,
  outcomeOf: (result: T) => string = () => 'done',
): Promise<T> {
  const id = await beginUse(database, use, now())
  const end = async (outcome: string) => {
    await endUse(database, id, outcome).catch((error) =>
      log.warn({ error, audit: id }, 'outcome-not-recorded'),
    )
    const { action, object, subject: by, requestId: request } = use
    log.info({ audit: id, action, object, by, request, outcome }, 'right-used')
  }
  try {
    const result = await work()
    await end(outcomeOf(result))
    return result
  } catch (error) {
    const why = refusalIn(error)
    await end(why === null ? 'failed' : `refused: ${why}`)
    throw error
  }
}

/** Sentences for people: of ours, or of an answer of the API with a status below 500. */
function refusalIn(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const isAnswer = 'status' in error && typeof error.status === 'number' && error.status < 500
  return error instanceof InvalidInputError || isAnswer ? error.message : null
}

/** @returns the id of the record. */
export async function beginUse(database: Database, use: UseOfRight, at: Date): Promise<number> {
  const values = { ...use, object: cutList(wellFormed(use.object), LONGEST_TEXT), usedAt: at, outcome: null }
  const { insertId } = await tables(database)
    .insertInto('auditedUses')
    .values(values)
    .executeTakeFirstOrThrow()
  return Number(insertId)
}

async function endUse(database: Database, id: number, outcome: string): Promise<void> {
  const row = tables(database).updateTable('auditedUses').where('id', '=', id)
  await row.set({ outcome: shortened(wellFormed(outcome), LONGEST_TEXT) }).execute()
}

export interface WantedUses {
  readonly subject?: string
  /** An id, for the page after it. */
  readonly before?: number
  readonly limit: number
}

/** The newest uses first. */
export async function listUses(
  database: Database,
  { subject, before, limit }: WantedUses,
): Promise<readonly AuditedUse[]> {
  return await tables(database)
    .selectFrom('auditedUses')
    .selectAll()
    .$if(subject !== undefined, (query) => query.where('subject', '=', subject ?? ''))
    .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}
