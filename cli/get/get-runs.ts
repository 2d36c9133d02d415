/**
 * Runs, file by file, into a folder: what is there already and right is left, what is not to be had now is
 * told, or waited for.
 */
import { mkdirSync } from 'node:fs'
import { classify } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import { pause } from '../../shared/time/pause.ts'

import { type Attempt, type GetFileOptions, type GetResult, getFile, INTERRUPTED } from './get-file.ts'
import type { LinkSource, OfferedFile } from './link-source.ts'
import { type LinksAhead, linksAhead } from './links-ahead.ts'

export interface GetOptions extends GetFileOptions {
  /** Until when what is being brought back from tape is waited for; null when it is not. */
  readonly waitUntil: Date | null
  readonly lookAgainMs: number
  /** Told at every look of each file that is waited for. */
  readonly onWaiting: (file: GetResult) => void
}

/**
 * Run after run, with links asked for not long before they are needed; those that come back from tape are
 * fetched when they are there. What fails for one file is told, and the next is tried.
 */
export async function* getRuns(
  source: LinkSource,
  runs: readonly RunId[],
  options: GetOptions,
): AsyncGenerator<GetResult> {
  const { signal, waitUntil, now } = options
  mkdirSync(options.folder, { recursive: true })
  const settled = new Set<string>()
  let waiting = runs
  for (let look = 0; waiting.length > 0; look++) {
    const waits = waitUntil !== null && now() < waitUntil
    // Asked for once: what has failed since is told, not asked for again and again.
    const recall = options.recall && look === 0
    const later = new Set<RunId>()
    const linksOf = linksAhead(source, waiting, now)
    for (const run of waiting)
      for await (const { noRoom, ...result } of getRun(
        { source, linksOf },
        run,
        { ...options, recall },
        settled,
      )) {
        if (result.state === 'recalling' && waits && !signal.aborted) {
          later.add(run)
          options.onWaiting(result)
        } else yield result
        if (signal.aborted || noRoom) return
      }
    waiting = [...later]
    if (waiting.length > 0 && waitUntil !== null)
      await pause(Math.min(options.lookAgainMs, Math.max(0, waitUntil.getTime() - now().getTime())), signal)
  }
}

/** @param settled names of files that need not be looked at again; what is done here is added. */
async function* getRun(
  { source, linksOf }: { readonly source: LinkSource; readonly linksOf: LinksAhead },
  run: RunId,
  options: GetFileOptions,
  settled: Set<string>,
): AsyncGenerator<Attempt> {
  const began = performance.now()
  let files: readonly OfferedFile[]
  try {
    files = await linksOf(run, options.signal)
  } catch (error) {
    const none = { file: null, path: null, sizeBytes: null, md5: null, receivedBytes: 0, noRoom: false }
    const reason = options.signal.aborted ? INTERRUPTED : classify(error).message
    return yield { ...run, ...none, state: 'failed', seconds: (performance.now() - began) / 1000, reason }
  }
  for (const file of files) {
    const name = `${run.tag}/${run.runNumber}/${file.fileName}`
    if (settled.has(name)) continue
    const attempt = await getFile(source, run, file, options)
    if (attempt.state !== 'recalling') settled.add(name)
    yield attempt
  }
}
