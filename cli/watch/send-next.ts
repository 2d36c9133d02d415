/** Sends one file of the folder into the store, and records the result. */
import { join } from 'node:path'
import { pushFile } from '../push/push-file.ts'
import type { PushResult } from '../push/result.ts'
import type { JournalEntry } from './journal.ts'
import { chooseNext, fileBackOffMs, storeBackOffMs, type Worker } from './plan.ts'
import { isThere, type RunFileFound } from './scan.ts'
import type { Tracked } from './tracked-files.ts'
import { sentenceOf, type Watch } from './watch-state.ts'

/** In a single pass: after so many failures of the store in a row the other files are not tried. */
const MOST_FAILURES_IN_ONE_PASS = 3

/** Sends the next file. False when there is none, or the store is in its pause after a failure. */
export async function sendNext(watch: Watch, worker: Worker): Promise<boolean> {
  const next = chooseNext(readyFiles(watch), worker)
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
  const isDue = (again: Tracked['setback']) => again === null || (!request.once && again.retryAtMs <= now)
  return files
    .all()
    .filter(
      (one) => one.pushed === null && !one.isSending && one.verdict.kind === 'closed' && isDue(one.setback),
    )
}

/** False when another file would fail now as well. */
async function send(watch: Watch, tracked: Tracked): Promise<boolean> {
  const { request, context, store: connection } = watch
  const store = await connection.open().catch((error: unknown) => {
    const reason = sentenceOf(error)
    if (!context.signal.aborted)
      context.report({
        event: 'watch-failing',
        what: 'store',
        error: reason,
        againSeconds: connection.failed(reason),
      })
    return null
  })
  if (store === null) return request.once
  const { file } = tracked
  // Only this version of the file is known to be closed; a new one is judged at the next scan.
  if (!isThere(file)) {
    tracked.verdict = { kind: 'open', reason: 'it has just changed, or was removed' }
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
  if (result.failed !== 'store') connection.succeeded()
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
 * Writes an entry to the journal. A failure is reported: after a restart the file is read again.
 */
export function remember({ context, journal }: Watch, entry: JournalEntry): void {
  if (journal.write(entry)) return
  const error = `the journal entry of ${entry.name} could not be written; after a restart the file is read and compared once more`
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

/** Failures of the store are retried sooner than those of the file. */
function noteSetback(
  { context, store }: Watch,
  tracked: Tracked,
  { state, failed, error }: PushResult,
): void {
  const { clock, random, report } = context
  const count = (tracked.setback?.count ?? 0) + 1
  const againMs = failed === 'store' ? storeBackOffMs(count, random) : fileBackOffMs(count, random)
  const is = state === 'refused' ? 'refused' : 'failed'
  const reason = error ?? 'unknown reason'
  if (failed === 'store') store.failed(reason)
  tracked.setback = { kind: is, error: reason, count, retryAtMs: clock.steadyMs() + againMs }
  const failure = { file: tracked.file, state: is, error: tracked.setback.error, attempt: count } as const
  report({ event: 'file-push-failed', ...failure, againSeconds: Math.round(againMs / 1000) })
}
