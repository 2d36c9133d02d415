/** State that the parts of a watch share. */

import { classify, InvalidInputError, TransientError } from '../../shared/errors.ts'
import { withoutSecrets } from '../../shared/log.ts'
import type { PushStore } from '../push/open-store.ts'
import type { PushProgress } from '../push/push-file.ts'
import type { DeletionLog } from './deletion-log.ts'
import type { Report } from './events.ts'
import type { Journal } from './journal.ts'
import { storeBackOffMs } from './plan.ts'
import type { SafetyPort } from './safety.ts'
import type { Clock, TrackedFiles } from './tracked-files.ts'
import type { WatchRequest } from './watch-request.ts'

/** External dependencies of a watch. */
export interface WatchContext {
  /** The name of the store in stored state. */
  readonly place: string
  openStore(signal: AbortSignal): Promise<PushStore>
  /** Null where no catalogue is configured. */
  readonly openSafety: ((store: PushStore, signal: AbortSignal) => Promise<SafetyPort>) | null
  /** Folder of the journal, the log of deletions, the unfinished uploads and the locks. */
  readonly stateFolder: string
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly report: Report
  onProgress?(progress: PushProgress): void
  /** Between two scans of the folder. */
  readonly pollMs: number
  /** Between two reports of the pending files. */
  readonly pendingMs: number
  /** Between two rounds of reports to the catalogue and deletions. */
  readonly tidyMs: number
}

export interface Watch {
  readonly request: WatchRequest
  readonly context: WatchContext
  readonly files: TrackedFiles
  readonly journal: Journal
  readonly deletions: DeletionLog | null
  readonly store: StoreConnection
  safety: SafetyPort | null
  /** Refusals of the catalogue that were reported: each once, since they last until a person acts. */
  readonly refusals: Set<string>
  /** Why the folder cannot be listed now; then no file is sent or deleted. Else null. */
  folderError: string | null
}

/** The connection to the store, with its failures. */
export interface StoreConnection {
  /** False in the pause after a failure; the pauses grow. */
  isReady(): boolean
  failures(): number
  /** The last failure in words; null after a success, and before the first attempt. */
  trouble(): string | null
  /** The store; the first call connects to it. Throws the error of the connection. */
  open(): Promise<PushStore>
  succeeded(): void
  /** Returns the seconds until the next attempt. */
  failed(error: string): number
  close(): void
}

export function createStoreConnection(
  context: Pick<WatchContext, 'openStore' | 'signal' | 'clock' | 'random'>,
): StoreConnection {
  let opened: Promise<PushStore> | null = null
  let failures = 0
  let trouble: string | null = null
  let againMs = Number.NEGATIVE_INFINITY
  return {
    isReady: () => context.clock.steadyMs() >= againMs,
    failures: () => failures,
    trouble: () => trouble,
    open() {
      opened ??= context.openStore(context.signal).catch((error) => {
        opened = null
        throw error
      })
      return opened
    },
    succeeded() {
      failures = 0
      trouble = null
      againMs = Number.NEGATIVE_INFINITY
    },
    failed(error) {
      failures += 1
      trouble = error
      const ms = storeBackOffMs(failures, context.random)
      againMs = context.clock.steadyMs() + ms
      return Math.round(ms / 1000)
    },
    close() {
      opened?.then((store) => store.close()).catch(() => {})
    },
  }
}

export interface Reported {
  /** False when the report has to be repeated. */
  readonly isNoted: boolean
  /** Why the catalogue refuses the report, for a cause in this file or the token of this machine. */
  readonly refusal: string | null
}

/** The outcome of a report to the catalogue. @throws errors of a catalogue that does not answer. */
export async function outcomeOf(watch: Watch, answer: Promise<boolean>): Promise<Reported> {
  try {
    return { isNoted: await answer, refusal: null }
  } catch (error) {
    const { context, refusals } = watch
    if (context.signal.aborted || classify(error) instanceof TransientError) throw error
    const refusal = sentenceOf(error)
    if (!refusals.has(refusal))
      context.report({
        event: 'watch-failing',
        what: 'catalogue',
        error: refusal,
        againSeconds: context.tidyMs / 1000,
      })
    refusals.add(refusal)
    return { isNoted: false, refusal }
  }
}

/** An error for people. */
export function sentenceOf(error: unknown): string {
  if (error instanceof InvalidInputError || error instanceof TransientError)
    return withoutSecrets(error.message)
  return withoutSecrets(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
}
