/** One file of the folder into the store, and what is remembered of that. */
import { join } from 'node:path'
import { pushFile } from '../push/push-file.ts'
import type { PushResult } from '../push/result.ts'
import type { JournalEntry } from './journal.ts'
import { chooseNext, fileBackOffMs, type Lane, storeBackOffMs } from './plan.ts'
import { isThere, type RunFileFound } from './scan.ts'
import type { Tracked } from './tracked-files.ts'
import { sentenceOf, type Watch } from './watch-state.ts'

/** In one pass: after so many failures of the store in a row the other files are not tried. */
const MOST_FAILURES_IN_ONE_PASS = 3

/** Sends the file whose turn it is. False when there is none, or the store is given a rest. */
export async function sendNext(watch: Watch, lane: Lane): Promise<boolean> {
  const next = chooseNext(readyFiles(watch), lane)
  if (next === null) return false
  next.isSending = true
  try {
    return await send(watch, next)
  } finally {
    next.isSending = false
  }
}

function readyFiles({ request, context, files, store, folderError }: Watch): readonly Tracked[] {
  if (folderError !== null || context.signal.aborted) return []
  if (request.once ? store.failures() >= MOST_FAILURES_IN_ONE_PASS : !store.isReady()) return []
  const now = context.clock.steadyMs()
  const isDue = (again: Tracked['setback']) => again === null || (!request.once && again.againMs <= now)
  return files
    .all()
    .filter(
      (one) => one.pushed === null && !one.isSending && one.verdict.is === 'closed' && isDue(one.setback),
    )
}

/** False when another file would fare no better now. */
async function send(watch: Watch, tracked: Tracked): Promise<boolean> {
  const { request, context, store: line } = watch
  const store = await line.open().catch((error: unknown) => {
    const reason = sentenceOf(error)
    if (!context.signal.aborted)
      context.report({
        event: 'watch-failing',
        what: 'store',
        error: reason,
        againSeconds: line.failed(reason),
      })
    return null
  })
  if (store === null) return request.once
  const { file } = tracked
  // This version was judged closed; another that has taken its name since is judged at the next look.
  if (!isThere(file)) {
    tracked.verdict = { is: 'open', why: 'it has just changed, or was taken away' }
    return true
  }
  const target = { bucket: request.bucket ?? store.bucket, key: file.key }
  const { partSizeBytes, concurrency } = request
  const result = await pushFile(
    file.path,
    target,
    { partSizeBytes, concurrency, overwrite: false, dryRun: false },
    {
      s3: store.s3,
      store: store.name,
      stateFolder: join(context.stateFolder, 'push'),
      signal: context.signal,
      ...(context.onProgress === undefined ? {} : { onProgress: context.onProgress }),
    },
  )
  if (context.signal.aborted && result.state === 'failed') return false
  if (result.failed !== 'store') line.succeeded()
  if (result.state === 'uploaded' || result.state === 'already-there')
    noteSuccess(watch, tracked, result, result.state)
  else noteSetback(watch, tracked, result)
  return true
}

function noteSuccess(
  watch: Watch,
  tracked: Tracked,
  result: PushResult,
  state: 'uploaded' | 'already-there',
): void {
  const { context } = watch
  const { file } = tracked
  tracked.setback = null
  tracked.pushed = entryOf(file, result, new Date(context.clock.wallMs()))
  const { bucket, md5, sentBytes, verifiedBy, seconds } = result
  context.report({
    event: 'file-pushed',
    file,
    bucket,
    state,
    md5,
    sentBytes,
    verifiedBy,
    ms: Math.round(seconds * 1000),
  })
  remember(watch, tracked.pushed)
}

/**
 * Into the journal; a full disk is told of, and costs no more than reading the file again after a restart.
 */
export function remember({ context, journal }: Watch, entry: JournalEntry): void {
  if (journal.write(entry)) return
  const error = `what was done with ${entry.name} could not be written down; after a restart it is read and compared once more`
  context.report({ event: 'watch-failing', what: 'journal', error, againSeconds: 0 })
}

function entryOf(file: RunFileFound, result: PushResult, at: Date): JournalEntry {
  return {
    name: file.name,
    state: 'pushed',
    folder: file.folder,
    ino: String(file.ino),
    sizeBytes: file.sizeBytes,
    mtimeNs: String(file.mtimeNs),
    bucket: result.bucket,
    key: file.key,
    md5: result.md5 ?? '',
    sha256: result.sha256 ?? '',
    adler32: result.adler32 ?? '',
    at: at.toISOString(),
    isNoted: false,
  }
}

/** What the store is to blame for is tried again sooner than what is wrong with the file. */
function noteSetback(
  { context, store }: Watch,
  tracked: Tracked,
  { state, failed, error }: PushResult,
): void {
  const { clock, random, report } = context
  const count = (tracked.setback?.count ?? 0) + 1
  const againMs = failed === 'store' ? storeBackOffMs(count, random) : fileBackOffMs(count, random)
  const is = state === 'refused' ? 'refused' : 'failed'
  const reason = error ?? 'no reason known'
  if (failed === 'store') store.failed(reason)
  tracked.setback = { is, error: reason, count, againMs: clock.steadyMs() + againMs }
  const told = { file: tracked.file, state: is, error: tracked.setback.error, attempt: count } as const
  report({ event: 'file-push-failed', ...told, againSeconds: Math.round(againMs / 1000) })
}
