/**
 * The events that the watch reports: with fixed names, as lines of JSON for machines or as sentences on a
 * terminal (terminal.ts).
 */
import type { Logger } from '../../shared/log.ts'
import type { Evidence } from './closed.ts'
import type { Pending } from './pending.ts'
import type { RunFileFound } from './scan.ts'

export type WatchEvent =
  | {
      readonly event: 'watch-started'
      readonly folder: string
      readonly tag: string
      readonly idleSeconds: number
      readonly deletes: boolean
    }
  | {
      readonly event: 'file-closed'
      readonly file: RunFileFound
      readonly evidence: Evidence
      readonly warning: string | null
    }
  | {
      readonly event: 'file-pushed'
      readonly file: RunFileFound
      readonly bucket: string
      readonly state: 'uploaded' | 'already-there'
      readonly md5: string | null
      readonly sentBytes: number
      readonly verifiedBy: readonly string[]
      readonly ms: number
    }
  | {
      readonly event: 'file-push-failed'
      readonly file: RunFileFound
      readonly state: 'failed' | 'refused'
      readonly error: string
      readonly attempt: number
      readonly againSeconds: number
    }
  | {
      readonly event: 'file-deleted'
      readonly file: RunFileFound
      readonly sha256: string
      readonly why: string
      readonly warning: string | null
    }
  | { readonly event: 'file-delete-failed'; readonly file: RunFileFound; readonly error: string }
  /** Another process removed a file that the catalogue has on this disk. */
  | {
      readonly event: 'file-vanished'
      readonly run: number
      readonly tag: string
      readonly key: string
      readonly path: string
    }
  | { readonly event: 'watch-pending'; readonly pending: Pending }
  /**
   * A failure of the folder, the store, the catalogue, the journal or the watch itself, not of a file. The watch
   * goes on.
   */
  | {
      readonly event: 'watch-failing'
      readonly what: 'folder' | 'store' | 'catalogue' | 'journal' | 'watch'
      readonly error: string
      readonly againSeconds: number
    }
  | { readonly event: 'watch-stopped' }

export type Report = (event: WatchEvent) => void

/** Most pending files named in a line; the counts include all. */
const MOST_NAMED = 20

/** Reports events as lines of a log. */
export function logReporter(log: Logger): Report {
  return (event) => log[levelOf(event)](fieldsOf(event), event.event)
}

function levelOf(event: WatchEvent): 'info' | 'warn' | 'error' {
  switch (event.event) {
    case 'file-push-failed':
      return event.state === 'refused' ? 'error' : 'warn'
    case 'file-delete-failed':
      return 'error'
    case 'file-vanished':
    case 'watch-failing':
      return 'warn'
    case 'file-closed':
    case 'file-deleted':
      return event.warning === null ? 'info' : 'warn'
    default:
      return 'info'
  }
}

function fieldsOf(event: WatchEvent): Record<string, unknown> {
  const { event: _, ...fields } = event
  if ('pending' in fields) return pendingFields(fields.pending)
  // A sentence is the field `reason`; `error` is for thrown errors.
  const reason = 'error' in fields ? { reason: fields.error, error: undefined } : {}
  if (!('file' in fields)) return { ...fields, ...reason }
  const { file, ...others } = fields
  const { run, key, path, sizeBytes } = file
  return { run: run.runNumber, tag: run.tag, key, path, sizeBytes, ...others, ...reason }
}

function pendingFields({
  counts,
  files,
  bytes,
  oldestSeconds,
  kept,
  refusal,
}: Pending): Record<string, unknown> {
  const troubled = files.filter(({ state }) => state === 'failed' || state === 'refused')
  const named = troubled.slice(0, MOST_NAMED).map(({ name, state, reason }) => ({ name, state, reason }))
  return {
    files: files.length,
    bytes,
    oldestSeconds,
    ...counts,
    kept: kept.count,
    keptBytes: kept.bytes,
    keptReasons: kept.reasons,
    troubled: named,
    ...(refusal === null ? {} : { refusal }),
  }
}
