/**
 * Episodes of alerts (ADR 27): requests of the queue `alerts` are folded into rows of the table `alerts`, in the
 * order in which they were written, and the messages that follow are wanted in the same transaction. Any number of
 * functions may call this at the same time; one of them folds.
 *
 * @example
 * const { folded } = await foldAlerts(context)
 */
import type { Transaction } from 'kysely'
import type { Context } from '../context.ts'
import { type Database, inTransaction } from '../database/connect.ts'
import type { Schema } from '../database/schema.ts'
import {
  BY_RULE,
  type Change,
  type Entry,
  type Episode,
  type EpisodeRow,
  ended,
  raised,
  signalOf,
  unreadable,
} from './fold.ts'
import { type Changed, type Shower, wantPosts } from './want-posts.ts'

type Trx = Transaction<Schema>

/** In one transaction: it holds the lock for less than a second. */
const AT_ONCE = 500

/**
 * Folds all requests that wait. Returns at once, with 0, while another function folds: that one also folds what was
 * written before this call.
 */
export async function foldAlerts(
  context: Context<'database' | 'channels'>,
): Promise<{ readonly folded: number }> {
  const { database } = context
  let folded = 0
  // Asked again after each commit, without the lock: who was turned away by the lock had written before.
  while (await isAnyUnfolded(database)) {
    const inBatch = await foldNext(context)
    if (inBatch === null) break
    folded += inBatch
  }
  return { folded }
}

/**
 * Folds some requests, or one when the database refuses them together; that one alone is then folded as what cannot be
 * read, so that it holds up no other.
 */
async function foldNext(context: Context<'database' | 'channels'>): Promise<number | null> {
  const fold = (most: number, read = signalOf) =>
    inTransaction(context.database, (trx) => foldBatch(trx, context, most, read))
  try {
    return await fold(AT_ONCE)
  } catch (ofSome) {
    if (!isRefusal(ofSome)) throw ofSome
    try {
      return await fold(1)
    } catch (ofOne) {
      if (!isRefusal(ofOne)) throw ofOne
      context.log.error({ error: ofOne }, 'alert-not-folded')
      return await fold(1, (name, body) => unreadable(name, body, ofOne.message))
    }
  }
}

/** The database does not accept a value; SQLSTATE classes 22 and 23. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && 'sqlState' in error && /^2[23]/.test(String(error.sqlState))

/** Waits for the lock of those who fold. */
export const changeEpisodes = <T>(database: Database, work: (trx: Trx) => Promise<T>): Promise<T> =>
  inTransaction(database, async (trx) => {
    await trx.selectFrom('alertFolding').select('id').where('id', '=', 1).forUpdate().executeTakeFirst()
    return await work(trx)
  })

async function isAnyUnfolded(database: Database): Promise<boolean> {
  const row = await database
    .selectFrom('outbox')
    .select('id')
    .where('queue', '=', 'alerts')
    .where('foldedAt', 'is', null)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Null while another function folds. */
async function foldBatch(
  trx: Trx,
  context: Context<'database' | 'channels'>,
  most: number,
  read: typeof signalOf,
): Promise<number | null> {
  const folding = await trx
    .selectFrom('alertFolding')
    .select('foldedTo')
    .where('id', '=', 1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
  if (folding === undefined) return null
  // Without a lock on them: those who raise alerts and those who send messages must not wait.
  const rows = await trx
    .selectFrom('outbox')
    .select(['id', 'name', 'body', 'runId', 'createdAt'])
    .where('queue', '=', 'alerts')
    .where('foldedAt', 'is', null)
    .orderBy('id')
    .limit(most)
    .execute()
  if (rows.length === 0) return 0
  const entries = rows.map(({ name, body, ...row }) => ({ ...row, signal: read(name, body) }))
  const episodes = await foldEntries(trx, entries, folding.foldedTo)
  const at = context.now()
  await wantPosts(trx, context, await writeEpisodes(trx, episodes), at)
  const ids = rows.map(({ id }) => id)
  await trx.updateTable('outbox').set({ foldedAt: at }).where('id', 'in', ids).execute()
  await trx
    .updateTable('alertFolding')
    .set({ foldedTo: Math.max(folding.foldedTo, ...ids) })
    .where('id', '=', 1)
    .execute()
  return rows.length
}

/** An episode that requests of a batch have made or changed. */
interface Folded extends Change {
  /** Null: it is new. */
  readonly id: number | null
}

/** The episodes of a batch in the order in which they began; of each the row as it is after all requests. */
async function foldEntries(
  trx: Trx,
  entries: readonly Entry[],
  foldedTo: number,
): Promise<readonly Folded[]> {
  const fingerprints = [...new Set(entries.map(({ signal }) => signal.fingerprint))]
  const rows = await trx
    .selectFrom('alerts')
    .selectAll()
    .where('openFingerprint', 'in', fingerprints)
    .forUpdate()
    .execute()
  /** Each change replaces the one before, which keeps its place in the order. */
  const changed: Folded[] = []
  const open = new Map<string, Folded & { readonly place: number | null }>()
  for (const { id, openFingerprint: _, ...row } of rows)
    open.set(row.fingerprint, { id, row, urgency: 'often', place: null })
  const put = (change: Change, before: (Folded & { readonly place: number | null }) | null) => {
    const urgency = before?.place != null && before.urgency === 'urgent' ? 'urgent' : change.urgency
    const place = before?.place ?? changed.length
    const folded = { id: before?.id ?? null, row: change.row, urgency }
    changed[place] = folded
    const { fingerprint, resolvedAt } = change.row
    if (resolvedAt === null) open.set(fingerprint, { ...folded, place })
    else open.delete(fingerprint)
  }
  for (const entry of entries) {
    const { signal, createdAt } = entry
    const before = open.get(signal.fingerprint) ?? null
    // Committed after requests that were written later, and are folded already.
    const later = entry.id <= foldedTo ? await foldedAfter(trx, entry, foldedTo) : []
    if (signal.kind === 'raise') {
      const end = later.findLast((one) => one.signal.kind === 'resolve')
      if (end === undefined) put(raised(before?.row ?? null, entry), before)
      else if (!(await countInEnded(trx, entry)))
        put(ended(raised(null, entry).row, end.createdAt, BY_RULE), null)
    } else if (before !== null && later.every((one) => one.signal.kind === 'resolve'))
      put(ended(before.row, createdAt, BY_RULE), before)
  }
  return changed
}

/** What was folded of the same condition although it was written after this. */
async function foldedAfter(trx: Trx, { id, signal }: Entry, foldedTo: number): Promise<readonly Entry[]> {
  const rows = await trx
    .selectFrom('outbox')
    .select(['id', 'name', 'body', 'runId', 'createdAt'])
    .where('id', '>', id)
    .where('id', '<=', foldedTo)
    .where('queue', '=', 'alerts')
    .where('foldedAt', 'is not', null)
    .orderBy('id')
    .execute()
  return rows
    .map(({ name, body, ...row }) => ({ ...row, signal: signalOf(name, body) }))
    .filter((entry) => entry.signal.fingerprint === signal.fingerprint)
}

/** A raise that came late counts in the episode that has ended. False: there is none. */
async function countInEnded(trx: Trx, { signal: { fingerprint } }: Entry): Promise<boolean> {
  const last = await trx
    .selectFrom('alerts')
    .select('id')
    .where('fingerprint', '=', fingerprint)
    .where('resolvedAt', 'is not', null)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (last === undefined) return false
  await trx
    .updateTable('alerts')
    .set((of) => ({ count: of('count', '+', 1) }))
    .where('id', '=', last.id)
    .execute()
  return true
}

/** Ends open episodes, and shows it. */
export async function endEpisodes(
  trx: Trx,
  context: Shower,
  open: readonly Episode[],
  by: string,
  at: Date,
): Promise<void> {
  const over = open.map(({ id, ...row }) => ({ id, ...ended(row, at, by) }))
  await wantPosts(trx, context, await writeEpisodes(trx, over), at)
}

/** Existing episodes first: one that has ended makes room for the next of its fingerprint. */
async function writeEpisodes(trx: Trx, folded: readonly Folded[]): Promise<readonly Changed[]> {
  const written: Changed[] = []
  for (const { id, row, urgency } of folded) {
    if (id === null) continue
    await trx.updateTable('alerts').set(columnsOf(row)).where('id', '=', id).execute()
    written.push({ episode: { ...row, id }, urgency, isNew: false })
  }
  const begun = folded.filter(({ id }) => id === null)
  for (let start = 0; start < begun.length; start += INSERTED_AT_ONCE)
    written.push(...(await insertEpisodes(trx, begun.slice(start, start + INSERTED_AT_ONCE))))
  return written
}

/** In one statement: an alert may have many facts. */
const INSERTED_AT_ONCE = 50

/** Nobody else inserts while this has the lock: the new ids are in the order of the rows. */
async function insertEpisodes(trx: Trx, begun: readonly Folded[]): Promise<readonly Changed[]> {
  const values = begun.map(({ row }) => columnsOf(row))
  const { insertId = 0n } = await trx.insertInto('alerts').values(values).executeTakeFirstOrThrow()
  const inserted = await trx
    .selectFrom('alerts')
    .select('id')
    .where('id', '>=', Number(insertId))
    .orderBy('id')
    .execute()
  return begun.flatMap(({ row, urgency }, index) => {
    const id = inserted[index]?.id
    return id === undefined ? [] : [{ episode: { ...row, id }, urgency, isNew: true }]
  })
}

const columnsOf = ({ labels, facts, attachment, ...row }: EpisodeRow) => ({
  ...row,
  labels: JSON.stringify(labels),
  facts: JSON.stringify(facts),
  attachment: attachment === null ? null : JSON.stringify(attachment),
})
