/**
 * Downloads runs, file by file, into a folder. Complete files are skipped; files that are not available now are
 * reported, or waited for.
 */
import { mkdirSync } from 'node:fs'
import { classify } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import { MAX_TIMER_MS, pause } from '../../shared/time/pause.ts'
import { duringWait } from '../api/during-wait.ts'
import { type Attempt, type GetFileOptions, type GetResult, getFile, INTERRUPTED } from './get-file.ts'
import type { LinkSource, OfferedFile } from './link-source.ts'
import { type LinksAhead, linksAhead } from './links-ahead.ts'

export interface GetOptions extends GetFileOptions {
  /** Latest time to wait for files that are being brought back from tape; null for no waiting. */
  readonly waitUntil: Date | null
  readonly pollMs: number
  /** Called in every round with each file that the command waits for. */
  readonly onWaiting: (file: GetResult) => void
}

/**
 * Fetches run after run; links are requested shortly before they are needed. Recalled files are fetched when
 * they are back in the store. The failure of one file is in its result, and the next file is tried.
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
  for (let round = 0; waiting.length > 0; round++) {
    const waits = waitUntil !== null && now() < waitUntil
    // A recall is requested once: a failed one is reported, not requested again.
    const recall = options.recall && round === 0
    const later = new Set<RunId>()
    const links = linksAhead(source, waiting, now)
    // A wait of hours outlives outages of the API, within its time.
    const linksOf: LinksAhead =
      round === 0 || waitUntil === null
        ? links
        : async (run, during) => {
            const leftMs = Math.max(0, waitUntil.getTime() - now().getTime())
            const end = AbortSignal.any([during, AbortSignal.timeout(Math.min(leftMs, MAX_TIMER_MS))])
            return await duringWait(() => links(run, during), options.pollMs, end)
          }
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
      await pause(Math.min(options.pollMs, Math.max(0, waitUntil.getTime() - now().getTime())), signal)
  }
}

/** @param settled names of files that are finished; those finished here are added. */
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
    const none = {
      file: null,
      path: null,
      sizeBytes: null,
      md5: null,
      receivedBytes: 0,
      noRoom: false,
      warning: null,
    }
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
