/** What the parts of a watch share. */

import { InvalidInputError, TransientError } from '../../shared/errors.ts'
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

/** What a watch needs from outside. */
export interface WatchContext {
  /** Names the store in what is remembered of it. */
  readonly place: string
  openStore(signal: AbortSignal): Promise<PushStore>
  /** Null where no catalogue is configured. */
  readonly openSafety: ((store: PushStore, signal: AbortSignal) => Promise<SafetyPort>) | null
  /** Journal, log of deletions, unfinished uploads and locks lie below it. */
  readonly stateFolder: string
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly report: Report
  onProgress?(progress: PushProgress): void
  /** Between two looks at the folder. */
  readonly pollMs: number
  /** Between two reports of what is pending. */
  readonly pendingMs: number
  /** Between two looks at what may be deleted. */
  readonly tidyMs: number
}

export interface Watch {
  readonly request: WatchRequest
  readonly context: WatchContext
  readonly files: TrackedFiles
  readonly journal: Journal
  readonly deletions: DeletionLog | null
  readonly store: StoreLine
  safety: SafetyPort | null
  /** Why the folder cannot be listed now: then nothing of it is tried. Null while all is well. */
  folderError: string | null
}

/** The way to the store, and how it fares. */
export interface StoreLine {
  /** False for a while after each failure, longer and longer. */
  isReady(): boolean
  failures(): number
  /** What stands in the way, in words; null while it works, and before it was tried. */
  trouble(): string | null
  /** The store; connected to when it is first asked for. Throws what stands in the way. */
  open(): Promise<PushStore>
  succeeded(): void
  /** Returns after how many seconds it is tried again. */
  failed(error: string): number
  close(): void
}

export function createStoreLine(
  context: Pick<WatchContext, 'openStore' | 'signal' | 'clock' | 'random'>,
): StoreLine {
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

/** An error for people. */
export function sentenceOf(error: unknown): string {
  if (error instanceof InvalidInputError || error instanceof TransientError)
    return withoutSecrets(error.message)
  return withoutSecrets(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
}
