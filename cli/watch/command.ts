/** `cygnet push --watch`: settings, output and exit code. */
import { writeSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Config } from '../../shared/config/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { createLogger } from '../../shared/log.ts'
import { print } from '../output.ts'
import { checkTag } from '../push/new-tag.ts'
import { loadPushSettings, type PushStore } from '../push/open-store.ts'
import { hasApiToken, openRemoteStore } from '../push/remote-store.ts'
import { interruption, stackFolder } from '../settings.ts'
import { createApiSafety } from './api-safety.ts'
import { logReporter } from './events.ts'
import type { SafetyPort } from './safety.ts'
import { createTerminal, pendingTable, type Terminal } from './terminal.ts'
import type { Clock } from './tracked-files.ts'
import { watchFolder } from './watch.ts'
import type { WatchRequest } from './watch-request.ts'

export interface WatchFlags {
  readonly watch: string
  readonly tag: string
  readonly bucket?: string
  readonly partSize: number
  readonly concurrency: number
  readonly json: boolean
  readonly once: boolean
  readonly idle: number
  readonly deleteWhenSafe: boolean
  readonly keepNewest: number
  readonly keepHours: number
  readonly newTag: boolean
}

const POLL_MS = 10_000
const PENDING_MS = 60_000
/** On a terminal the status line is only redrawn. */
const PENDING_DRAWN_MS = 2_000
const TIDY_MS = 300_000
/** A process that writes in bursts is noticed within this time. */
const SETTLE_MS = 10_000
/** Shorter for one pass, since it is started by hand or by a timer. */
const SETTLE_ONCE_MS = 2_000

const CLOCK: Clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() }

/** Runs the watch; the exit code of one pass is 1 when something is pending, or not recorded. */
export async function runWatch(flags: WatchFlags): Promise<void> {
  const settings = await loadPushSettings(flags)
  let isTagChecked = flags.newTag
  const openStore = async (opening: AbortSignal) => {
    const store = await settings.open(opening)
    const bucket = flags.bucket ?? store.bucket
    if (!isTagChecked)
      await checkTag(store, settings.config, { tag: flags.tag, bucket, canAsk: false }, opening)
    isTagChecked = true
    return store
  }
  const log = createLogger({
    function: 'push',
    level: settings.config.host.logLevel,
    destination: { write: writeLogLine },
  })
  const openSafety = safetyOpener(settings.config, flags.deleteWhenSafe)
  const signal = interruption()
  const terminal = terminalFor(flags)
  const pending = await watchFolder(requestOf(flags), {
    place: settings.place,
    openStore,
    openSafety,
    stateFolder: stackFolder(),
    signal,
    clock: CLOCK,
    random: Math.random,
    report: terminal?.report ?? logReporter(log),
    ...(terminal === null ? {} : { onProgress: terminal.onProgress }),
    pollMs: Math.min(POLL_MS, Math.max(1000, flags.idle * 1000)),
    pendingMs: terminal === null ? PENDING_MS : PENDING_DRAWN_MS,
    tidyMs: TIDY_MS,
  }).finally(() => terminal?.clear())
  if (!flags.once || pending === null) return
  print(flags.json ? JSON.stringify({ event: 'watch-pending', ...pending }) : pendingTable(pending))
  if (signal.aborted) process.exitCode = 130
  else if (pending.files.length > 0 || pending.refusal !== null) process.exitCode = 1
}

function requestOf(flags: WatchFlags): WatchRequest {
  const idleMs = flags.idle * 1000
  return {
    folder: resolve(flags.watch),
    tag: flags.tag,
    bucket: flags.bucket ?? null,
    limits: { idleMs, settleMs: Math.min(flags.once ? SETTLE_ONCE_MS : SETTLE_MS, idleMs) },
    partSizeBytes: flags.partSize,
    concurrency: flags.concurrency,
    deletion: flags.deleteWhenSafe ? { newestRuns: flags.keepNewest, hours: flags.keepHours } : null,
    once: flags.once,
  }
}

/** Sentences on a terminal; null where the output is lines of JSON. */
function terminalFor({ json, once }: WatchFlags): Terminal | null {
  if (json || !(once || process.stdout.isTTY)) return null
  return createTerminal(print, process.stderr.isTTY ? process.stderr : null)
}

/** A full disk or a closed pipe must not stop the watch: it may be the process that frees the disk. */
function writeLogLine(line: string): void {
  try {
    writeSync(1, line)
  } catch {
    // this line is lost; the pending files are reported again
  }
}

/**
 * Opens the connection to the catalogue's API, if it is configured.
 * @throws InvalidInputError when it is needed for deletions and not configured.
 */
function safetyOpener(
  config: Config,
  isNeeded: boolean,
): ((store: PushStore, signal: AbortSignal) => Promise<SafetyPort>) | null {
  if (hasApiToken(config))
    return async (store, signal) =>
      createApiSafety(store.remote ?? (await openRemoteStore(config, signal)), CLOCK)
  if (!isNeeded) return null
  throw new InvalidInputError(
    '--delete-when-safe needs the catalogue, which has the verified copies on tape: set CYGNET_API_URL and CYGNET_API_TOKEN',
  )
}
