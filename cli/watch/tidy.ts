/** Handles files that are in the store and on this disk: reports them to the catalogue, and removes safe ones. */
import { deleteWhenSafe } from './delete-when-safe.ts'
import { filesToKeep } from './keep.ts'
import { safetyBackOffMs } from './plan.ts'
import { reportRemovals } from './report-removals.ts'
import type { SafetyPort } from './safety.ts'
import { remember } from './send-next.ts'
import type { Tracked } from './tracked-files.ts'
import { outcomeOf, sentenceOf, type Watch } from './watch-state.ts'

/**
 * One round. Never throws: if the catalogue or the store does not answer, the rest is done in the next round.
 */
export async function tidy(watch: Watch): Promise<void> {
  const { context, folderError } = watch
  if (context.openSafety === null || folderError !== null) return
  try {
    const safety = await openSafety(watch)
    await reportRemovals(watch, safety)
    await noteFiles(watch, safety)
    await deleteFiles(watch, safety)
  } catch (error) {
    if (context.signal.aborted) return
    context.report({
      event: 'watch-failing',
      what: 'catalogue',
      error: sentenceOf(error),
      againSeconds: context.tidyMs / 1000,
    })
  }
}

async function openSafety(watch: Watch): Promise<SafetyPort> {
  const { context, store } = watch
  if (watch.safety === null) {
    if (context.openSafety === null) throw new TypeError('no catalogue is configured')
    watch.safety = await context.openSafety(await store.open(), context.signal)
  }
  return watch.safety
}

/**
 * Reports files whose bytes were read here. While their contents are not catalogued, the report is repeated at
 * growing intervals.
 */
async function noteFiles(watch: Watch, safety: SafetyPort): Promise<void> {
  const { context, files } = watch
  for (const tracked of files.all()) {
    const { file, pushed, noting } = tracked
    if (context.signal.aborted) return
    if (pushed === null || pushed.isNoted || !isDue(watch, noting)) continue
    const { bucket, key, sha256, sizeBytes, at } = pushed
    const { isNoted, refusal } = await outcomeOf(
      watch,
      safety.reportPresent({ bucket, key, sha256, sizeBytes, path: file.path }, new Date(at), context.signal),
    )
    tracked.noting = { ...nextRetry(watch, noting), refusal }
    if (!isNoted) continue
    tracked.pushed = { ...pushed, isNoted }
    remember(watch, tracked.pushed)
  }
}

async function deleteFiles(watch: Watch, safety: SafetyPort): Promise<void> {
  const { request, context, files, deletions, store } = watch
  if (request.deletion === null || deletions === null) return
  const { s3 } = await store.open()
  const { signal, clock } = context
  const tools = {
    s3,
    safety,
    log: deletions,
    partSizeBytes: request.partSizeBytes,
    now: () => new Date(clock.wallMs()),
    signal,
  }
  const all = files.all()
  const toKeep = filesToKeep(
    all.map(({ file }) => file),
    request.deletion,
    clock.wallMs(),
  )
  for (const tracked of all) {
    const { file, pushed, kept } = tracked
    if (signal.aborted) return
    if (pushed === null) continue
    const reason = toKeep.get(file.name)
    if (reason !== undefined) tracked.kept = { reason, count: 0, retryAtMs: 0 }
    else if (isDue(watch, kept)) {
      const isOver = await deleteOne(watch, tracked, pushed, tools)
      if (isOver) return
    }
  }
}

/** True when the API or the store does not answer: the next file would fail as well. */
async function deleteOne(
  watch: Watch,
  tracked: Tracked,
  pushed: NonNullable<Tracked['pushed']>,
  tools: Parameters<typeof deleteWhenSafe>[2],
): Promise<boolean> {
  const { context } = watch
  const { file, kept } = tracked
  const deletion = await deleteWhenSafe(file, pushed, tools)
  if (deletion.kind === 'deleted') {
    const { sha256, reason: why, warning } = deletion
    context.report({ event: 'file-deleted', file, sha256, why, warning })
    remember(watch, { ...pushed, state: 'deleted' })
    watch.files.remove(file)
    return false
  }
  if (deletion.kind === 'kept') tracked.kept = { reason: deletion.reason, ...nextRetry(watch, kept) }
  else if (deletion.with === 'file') {
    tracked.kept = { reason: deletion.reason, ...nextRetry(watch, kept) }
    context.report({ event: 'file-delete-failed', file, error: deletion.reason })
  } else {
    tracked.kept = { reason: deletion.reason, count: kept?.count ?? 0, retryAtMs: 0 }
    context.report({
      event: 'watch-failing',
      what: 'catalogue',
      error: deletion.reason,
      againSeconds: context.tidyMs / 1000,
    })
    return true
  }
  return false
}

const isDue = ({ context }: Watch, when: { readonly retryAtMs: number } | null) =>
  when === null || when.retryAtMs <= context.clock.steadyMs()

function nextRetry({ context }: Watch, before: { readonly count: number } | null) {
  const count = (before?.count ?? 0) + 1
  return { count, retryAtMs: context.clock.steadyMs() + safetyBackOffMs(count, context.random) }
}
