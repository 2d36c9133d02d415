/**
 * `cygnet push --watch`: looks at a folder again and again, sends what the DAQ has closed, and, when it is
 * told to, removes what is safe elsewhere. It goes on through anything that fails, for days, and ends when it
 * is told to.
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
import { chooseNext, LANES } from './plan.ts'
import { type RunFileFound, type Scan, scanFolder } from './scan.ts'
import { sendNext } from './send-next.ts'
import { tidy } from './tidy.ts'
import { trackFiles } from './tracked-files.ts'
import type { WatchRequest } from './watch-request.ts'
import { createStoreLine, sentenceOf, type Watch, type WatchContext } from './watch-state.ts'
import { findWriters } from './writers.ts'

/**
 * Watches until the signal aborts, or with `once` looks through the folder one time.
 * @returns what is pending at the end.
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
      `${stateFolder}, where the watch keeps its journal, cannot be written to (${code ?? message}); name another folder in CYGNET_FOLDER`,
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

/** Waits for the folder to be there. Null when the watch is to end before. */
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
    store: createStoreLine(context),
    safety: null,
    folderError: null,
  }
}

/**
 * Where a removal was begun before, what came of it has to be told, whether more are to be removed or not.
 */
function openDeletions({ deletion }: WatchRequest, stateFolder: string): DeletionLog | null {
  const path = join(stateFolder, 'watch', 'deletions.jsonl')
  return deletion !== null || existsSync(path) ? openDeletionLog(path) : null
}

/** A file that is here is in this folder, wherever it was when it was sent. */
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

/** The parts run beside each other: none of them waits for another's store, disk or catalogue. */
async function goOn(watch: Watch): Promise<void> {
  const { pollMs, pendingMs, tidyMs, report } = watch.context
  const tellPending = async () => {
    report({ event: 'watch-pending', pending: pendingNow(watch) })
    if (watch.folderError !== null) tellFolder(watch, watch.folderError)
  }
  await Promise.all([
    repeat(watch, pollMs, () => look(watch)),
    repeat(watch, pollMs, () => inspectNext(watch)),
    ...LANES.map((lane) => repeat(watch, Math.min(pollMs, 1000), () => sendNext(watch, lane))),
    repeat(watch, tidyMs, () => tidy(watch)),
    repeat(watch, pendingMs, tellPending),
  ])
}

/**
 * Works, at once again while there is more to do, else after a pause. What is thrown is told, and never ends
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

/** Looks at the folder and judges what is there. */
async function look(watch: Watch): Promise<void> {
  const { request, files } = watch
  try {
    files.update(await scanFolder(request.folder, request.tag))
    watch.folderError = null
  } catch (error) {
    if (watch.folderError === null) tellFolder(watch, sentenceOf(error))
    watch.folderError = sentenceOf(error)
    return
  }
  judgeFiles(watch)
}

function tellFolder({ context }: Watch, error: string): void {
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

/** Reads the end of the newest file about which that is asked. False when there is none. */
async function inspectNext(watch: Watch): Promise<boolean> {
  const undecided = watch.files
    .all()
    .filter(({ verdict, ending }) => verdict.is === 'undecided' && ending === null)
  const next = chooseNext(undecided, 'newest')
  if (next === null) return false
  next.ending = await readEnding(next.file, watch.context.signal)
  judgeFiles(watch)
  return true
}

/** Everything once: two looks, so that what is being written shows; then what is closed goes. */
async function passOnce(watch: Watch): Promise<void> {
  const { request, context } = watch
  await pause(request.limits.settleMs, context.signal)
  await look(watch)
  while (!context.signal.aborted && (await inspectNext(watch)));
  const drain = async (lane: (typeof LANES)[number]) => {
    while (await sendNext(watch, lane));
  }
  await Promise.all(LANES.map(drain))
  await tidy(watch)
}
