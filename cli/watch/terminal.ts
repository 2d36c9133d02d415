/**
 * The watch on a terminal: events as sentences, the progress as one status line that is redrawn, and the table
 * at the end.
 */
import { basename } from 'node:path'
import { bytes, duration, table } from '../output.ts'
import type { PushProgress } from '../push/push-file.ts'
import type { Report, WatchEvent } from './events.ts'
import type { Pending, PendingState } from './pending.ts'

export interface Terminal {
  readonly report: Report
  onProgress(progress: PushProgress): void
  /** Removes the status line. */
  clear(): void
}

const REDRAW_MS = 200

/**
 * @param print writes a permanent line.
 * @param status where the status line is drawn; null for none.
 */
export function createTerminal(print: (line: string) => void, status: NodeJS.WriteStream | null): Terminal {
  const inProgress = new Map<string, PushProgress>()
  let pending: Pending | null = null
  let drawnMs = 0
  const clear = () => status?.write('\r\x1b[K')
  const draw = () => {
    drawnMs = performance.now()
    const text = [
      ...[...inProgress.values()].map(progressText),
      ...(pending === null ? [] : [pendingText(pending)]),
    ].join('; ')
    status?.write(`\r\x1b[K${text.slice(0, Math.max(0, (status.columns || 80) - 1))}`)
  }
  return {
    report(event) {
      if (event.event === 'watch-pending') pending = event.pending
      if (event.event === 'file-pushed' || event.event === 'file-push-failed')
        inProgress.delete(event.file.path)
      const line = lineOf(event)
      if (line !== null) {
        clear()
        print(line)
      }
      draw()
    },
    onProgress(progress) {
      inProgress.set(progress.file, progress)
      if (performance.now() - drawnMs > REDRAW_MS) draw()
    },
    clear,
  }
}

function progressText({ file, phase, doneBytes, totalBytes }: PushProgress): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes)
  return `${phase === 'checksums' ? 'reading' : 'sending'} ${basename(file)} ${percent}%`
}

const ORDER: readonly PendingState[] = ['sending', 'waiting', 'failed', 'refused', 'open']

function countsText({ counts }: Pending): string {
  return ORDER.flatMap((state) => (counts[state] === 0 ? [] : [`${counts[state]} ${state}`])).join(', ')
}

function pendingText(pending: Pending): string {
  const { files, kept, oldestSeconds } = pending
  const still = kept.count === 0 ? '' : `; ${kept.count} in the store and still here, ${bytes(kept.bytes)}`
  if (files.length === 0) return `nothing pending${still}`
  const oldest = oldestSeconds === null ? '' : `, the oldest for ${duration(oldestSeconds)}`
  return `${files.length} pending (${countsText(pending)}), ${bytes(pending.bytes)}${oldest}${still}`
}

/** Null for events without a line. */
function lineOf(event: WatchEvent): string | null {
  switch (event.event) {
    case 'watch-started':
      return `watching ${event.folder} for runs of ${event.tag}${event.deletes ? '; files with verified copies are deleted' : ''}`
    case 'file-closed':
      return event.warning === null ? null : `${event.file.key}: ${event.warning}; it is sent as it is`
    case 'file-pushed': {
      const how = event.state === 'uploaded' ? 'uploaded     ' : 'already there'
      return `${how}  ${event.file.key}  ${bytes(event.file.sizeBytes)} in ${duration(event.ms / 1000)}, verified by ${event.verifiedBy.join(', ')}`
    }
    case 'file-push-failed':
      return `${event.state.padEnd(13)}  ${event.file.key}: ${event.error}`
    case 'file-deleted':
      return `deleted        ${event.file.path}: ${event.why}${event.warning === null ? '' : ` (${event.warning})`}`
    case 'file-delete-failed':
      return `not deleted    ${event.file.path}: ${event.error}`
    case 'file-vanished':
      return `missing        ${event.path}: not removed by this program; reported to the catalogue as missing`
    case 'watch-failing':
      return `${event.what}: ${event.error}`
    case 'watch-pending':
    case 'watch-stopped':
      return null
  }
}

/** All pending files with reasons, and the kept files; printed at the end of a single pass. */
export function pendingTable(pending: Pending): string {
  const rows = pending.files.map(({ name, state, sizeBytes, ageSeconds, reason }) => [
    name,
    state,
    bytes(sizeBytes),
    ageSeconds === null ? null : duration(ageSeconds),
    reason,
  ])
  const kept = Object.entries(pending.kept.reasons).map(([why, count]) => [count, why] as const)
  return [
    ...(rows.length === 0 ? [] : [table(['FILE', 'STATE', 'SIZE', 'AGE', 'REASON'], rows)]),
    ...(kept.length === 0 ? [] : [table(['KEPT', 'BECAUSE'], kept)]),
    ...(pending.refusal === null ? [] : [`The files are not recorded on this disk: ${pending.refusal}`]),
    pendingText(pending),
  ].join('\n\n')
}
