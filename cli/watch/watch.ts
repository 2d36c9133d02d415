/**
 * `cygnet push --watch`: scans a folder repeatedly, sends the runs that the DAQ has closed and, if requested,
 * removes files with verified copies. It continues through failures, for days, until the signal aborts.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { ConflictError, InvalidInputError } from '../../shared/errors.ts'
import { pause } from '../../shared/time/pause.ts'
import { releaseLock, takeLock } from '../push/lock.ts'
import { type DeletionLog, openDeletionLog } from './deletion-log.ts'
import { readEnding } from './ending.ts'
import { type Journal, type JournalEntry, openJournal } from './journal.ts'
import { type Pending, pendingOf } from './pending.ts'
import { chooseNext, WORKERS } from './plan.ts'
import { type RunFileFound, type Scan, scanFolder } from './scan.ts'
import { sendNext } from './send-next.ts'
import { tidy } from './tidy.ts'
import { trackFiles } from './tracked-files.ts'
import type { WatchRequest } from './watch-request.ts'
import { createStoreConnection, sentenceOf, type Watch, type WatchContext } from './watch-state.ts'
import { findWriters } from './writers.ts'

/**
 * Watches until the signal aborts, or with `once` makes a single pass.
 * @returns the files that are pending at the end.
 * @throws ConflictError when another process watches the folder, InvalidInputError when the state folder
 * cannot be written to; with `once` also when the folder cannot be listed.
 */
export async function watchFolder(request: WatchRequest, context: WatchContext): Promise<Pending | null> {
  const lock = lockFolder(request.folder, context.stateFolder)
  let watch: Watch | null = null
  try {
    const { folder, tag, limits, deletion } = request
    context.report({
      event: 'watch-started',
      folder,
      tag,
      idleSeconds: limits.idleMs / 1000,
      deletes: deletion !== null,
    })
    watch = await begin(request, context)
    if (watch === null) return null
    await (request.once ? passOnce(watch) : goOn(watch))
    return pendingNow(watch)
  } finally {
    watch?.store.close()
    releaseLock(lock)
    context.report({ event: 'watch-stopped' })
  }
}

function lockFolder(folder: string, stateFolder: string): string {
  const path = join(stateFolder, 'watch', `${shortHash([realPath(folder)])}.lock`)
  try {
    mkdirSync(join(stateFolder, 'watch'), { recursive: true, mode: 0o700 })
    const holder = takeLock(path)
    if (holder !== null) throw new ConflictError(`process ${holder} is watching ${folder} already`)
  } catch (error) {
    if (error instanceof ConflictError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new InvalidInputError(
      `${stateFolder}, the folder for the journal of the watch, cannot be written to (${code ?? message}); set another folder in CYGNET_FOLDER`,
    )
  }
  return path
}

const shortHash = (of: readonly string[]) =>
  createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 32)

function realPath(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    return folder // not mounted yet
  }
}

/** Waits until the folder can be listed. Null when the signal aborts first. */
async function begin(request: WatchRequest, context: WatchContext): Promise<Watch | null> {
  const scan = await firstScan(request, context)
  if (scan === null) return null
  const { stateFolder, clock, place } = context
  const names = new Set(scan.files.map(({ name }) => name))
  const about = shortHash([realPath(request.folder), request.tag, place, request.bucket ?? ''])
  const journal = openJournal(join(stateFolder, 'watch', `${about}.jsonl`), names, clock.wallMs())
  const files = trackFiles((file) => recall(journal, file), clock)
  files.update(scan)
  return {
    request,
    context,
    files,
    journal,
    deletions: openDeletions(request, stateFolder),
    store: createStoreConnection(context),
    safety: null,
    refusals: new Set(),
    folderError: null,
  }
}

/**
 * The log is also opened without deletions if it exists: the outcomes of earlier removals have to be reported.
 */
function openDeletions({ deletion }: WatchRequest, stateFolder: string): DeletionLog | null {
  const path = join(stateFolder, 'watch', 'deletions.jsonl')
  return deletion !== null || existsSync(path) ? openDeletionLog(path) : null
}

/** The journal entry of a file, with the identity of the present folder, which may be another than when it was sent. */
function recall(journal: Journal, file: RunFileFound): JournalEntry | null {
  const entry = journal.find(file.name, file)
  if (entry === null || entry.folder === file.folder) return entry
  const here = { ...entry, folder: file.folder }
  journal.write(here)
  return here
}

const pendingNow = ({ files, context, request, store }: Watch): Pending =>
  pendingOf(files, context.clock, { ...request, trouble: store.trouble() })

async function firstScan({ folder, tag, once }: WatchRequest, context: WatchContext): Promise<Scan | null> {
  while (!context.signal.aborted) {
    try {
      return await scanFolder(folder, tag)
    } catch (error) {
      if (once) throw error
      context.report({
        event: 'watch-failing',
        what: 'folder',
        error: sentenceOf(error),
        againSeconds: context.pendingMs / 1000,
      })
      await pause(context.pendingMs, context.signal)
    }
  }
  return null
}

/** The parts run concurrently: none waits for the store, disk or catalogue of another. */
async function goOn(watch: Watch): Promise<void> {
  const { pollMs, pendingMs, tidyMs, report } = watch.context
  const reportPending = async () => {
    report({ event: 'watch-pending', pending: pendingNow(watch) })
    if (watch.folderError !== null) reportFolder(watch, watch.folderError)
  }
  await Promise.all([
    repeat(watch, pollMs, () => scan(watch)),
    repeat(watch, pollMs, () => inspectNext(watch)),
    ...WORKERS.map((worker) => repeat(watch, Math.min(pollMs, 1000), () => sendNext(watch, worker))),
    repeat(watch, tidyMs, () => tidy(watch)),
    repeat(watch, pendingMs, reportPending),
  ])
}

/**
 * Repeats `work`: immediately while it returns true, else after a pause. An error is reported and does not end
 * the watch.
 */
async function repeat({ context }: Watch, pauseMs: number, work: () => Promise<unknown>): Promise<void> {
  while (!context.signal.aborted) {
    const hasMore = await work().catch((error: unknown) => {
      if (!context.signal.aborted)
        context.report({
          event: 'watch-failing',
          what: 'watch',
          error: sentenceOf(error),
          againSeconds: Math.round(pauseMs / 1000),
        })
      return false
    })
    if (hasMore !== true) await pause(pauseMs, context.signal)
  }
}

/** Scans the folder and judges its files. */
async function scan(watch: Watch): Promise<void> {
  const { request, files } = watch
  try {
    files.update(await scanFolder(request.folder, request.tag))
    watch.folderError = null
  } catch (error) {
    if (watch.folderError === null) reportFolder(watch, sentenceOf(error))
    watch.folderError = sentenceOf(error)
    return
  }
  judgeFiles(watch)
}

function reportFolder({ context }: Watch, error: string): void {
  context.report({
    event: 'watch-failing',
    what: 'folder',
    error,
    againSeconds: Math.round(context.pollMs / 1000),
  })
}

function judgeFiles({ request, context, files }: Watch): void {
  for (const { tracked, evidence, warning } of files.judgeAll(request.limits, findWriters))
    context.report({ event: 'file-closed', file: tracked.file, evidence, warning })
}

/** Reads the end of the newest undecided file. False when there is none. */
async function inspectNext(watch: Watch): Promise<boolean> {
  const undecided = watch.files
    .all()
    .filter(({ verdict, ending }) => verdict.kind === 'undecided' && ending === null)
  const next = chooseNext(undecided, 'newest')
  if (next === null) return false
  next.ending = await readEnding(next.file, watch.context.signal)
  judgeFiles(watch)
  return true
}

/** A single pass: two scans, to notice files that are being written; then the closed files are sent. */
async function passOnce(watch: Watch): Promise<void> {
  const { request, context } = watch
  await pause(request.limits.settleMs, context.signal)
  await scan(watch)
  while (!context.signal.aborted && (await inspectNext(watch)));
  const drain = async (worker: (typeof WORKERS)[number]) => {
    while (await sendNext(watch, worker));
  }
  await Promise.all(WORKERS.map(drain))
  await tidy(watch)
}
