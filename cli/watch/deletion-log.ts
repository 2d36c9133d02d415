/**
 * A line for every file that is removed from the DAQ's disk, on the disk before the file goes, and a line with what came of it.
 * It is never shortened.
 */
import { appendFileSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDiskFull } from '../push/lock.ts'

export interface DeletionRecord {
  readonly at: string
  readonly state: 'intended' | 'deleted' | 'not-deleted'
  readonly path: string
  readonly bucket: string
  readonly key: string
  readonly sizeBytes: number
  readonly sha256: string
  /** What made it safe, or why it was not done after all. */
  readonly why: string
}

export interface DeletionLog {
  /** Returns when the line is on the disk. Throws what the file system says. */
  append(record: DeletionRecord): void
}

/** Room that is kept for this log: on a full disk its lines are what stands between the disk and the space that it needs. */
const RESERVE_BYTES = 256 * 1024

export function openDeletionLog(path: string, append: typeof appendFileSync = appendFileSync): DeletionLog {
  const reserve = `${path}.reserve`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  keepReserve(reserve)
  return {
    append(record) {
      // In a line of its own, whatever became of the one before.
      const line = `${JSON.stringify(record)}\n`
      const options = { mode: 0o600, flush: true }
      try {
        append(path, line, options)
      } catch (error) {
        if (!isDiskFull(error)) throw error
        rmSync(reserve, { force: true })
        append(path, `\n${line}`, options)
      }
      if (record.state === 'deleted') keepReserve(reserve)
    },
  }
}

function keepReserve(path: string): void {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) < RESERVE_BYTES) writeFileSync(path, Buffer.alloc(RESERVE_BYTES, 1))
  } catch {
    rmSync(path, { force: true }) // half of it would not help; tried again after the next deletion
  }
}
