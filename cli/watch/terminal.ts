/**
 * The watch for people: what happens as sentences, what goes on as one line that is drawn again and again,
 * and the table at the end.
 */
import { basename } from 'node:path'
import { bytes, duration, table } from '../output.ts'
import type { PushProgress } from '../push/push-file.ts'
import type { Report, WatchEvent } from './events.ts'
import type { Pending, PendingState } from './pending.ts'

export interface Terminal {
  readonly report: Report
  onProgress(progress: PushProgress): void
  /** Takes the line away. */
  clear(): void
}

const REDRAW_MS = 200

/**
 * @param print writes a line for good.
 * @param status where the line is drawn; null for none.
 */
export function createTerminal(print: (line: string) => void, status: NodeJS.WriteStream | null): Terminal {
  const under = new Map<string, PushProgress>()
  let pending: Pending | null = null
  let drawnMs = 0
  const clear = () => status?.write('\r\x1b[K')
  const draw = () => {
    drawnMs = performance.now()
    const text = [
      ...[...under.values()].map(progressText),
      ...(pending === null ? [] : [pendingText(pending)]),
    ].join('; ')
    status?.write(`\r\x1b[K${text.slice(0, Math.max(0, (status.columns || 80) - 1))}`)
  }
  return {
    report(told) {
      if (told.event === 'watch-pending') pending = told.pending
      if (told.event === 'file-pushed' || told.event === 'file-push-failed') under.delete(told.file.path)
      const line = lineOf(told)
      if (line !== null) {
        clear()
        print(line)
      }
      draw()
    },
    onProgress(progress) {
      under.set(progress.file, progress)
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

/** Null for what needs no line of its own. */
function lineOf(told: WatchEvent): string | null {
  switch (told.event) {
    case 'watch-started':
      return `watching ${told.folder} for runs of ${told.tag}${told.deletes ? '; files that are safe elsewhere are deleted' : ''}`
    case 'file-closed':
      return told.warning === null ? null : `${told.file.key}: ${told.warning}; it is sent as it is`
    case 'file-pushed': {
      const how = told.state === 'uploaded' ? 'uploaded     ' : 'already there'
      return `${how}  ${told.file.key}  ${bytes(told.file.sizeBytes)} in ${duration(told.ms / 1000)}, verified by ${told.verifiedBy.join(', ')}`
    }
    case 'file-push-failed':
      return `${told.state.padEnd(13)}  ${told.file.key}: ${told.error}`
    case 'file-deleted':
      return `deleted        ${told.file.path}: ${told.why}${told.warning === null ? '' : ` (${told.warning})`}`
    case 'file-delete-failed':
      return `not deleted    ${told.file.path}: ${told.error}`
    case 'file-vanished':
      return `gone           ${told.path}: not removed by this program; the catalogue does not count it any more`
    case 'watch-failing':
      return `${told.what}: ${told.error}`
    case 'watch-pending':
    case 'watch-stopped':
      return null
  }
}

/** All that is pending, with reasons, and what is kept; for the end of one pass. */
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
    pendingText(pending),
  ].join('\n\n')
}
