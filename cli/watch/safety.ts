/**
 * The port through which the catalogue decides whether a file of the DAQ's disk may be removed.
 */
import type { LocalContent } from '../../shared/copies/delete/safety.ts'
import type { ObjectName } from '../../shared/run.ts'

/** A file on this machine's disk, with the SHA-256 of its bytes when it was read. */
export interface FileOnDisk extends LocalContent {
  /** Absolute. */
  readonly path: string
}

export interface SafetyAnswer {
  readonly safe: boolean
  /** One sentence: why it is safe, or what is missing. */
  readonly reason: string
}

/** Allows one removal for a limited time; its outcome is reported afterwards. */
export interface Permission {
  /** Written to this disk before the file is removed. */
  readonly id: number
  /** One sentence: what was checked. */
  readonly reason: string
  /** Called immediately before the file is removed. */
  isOver(): boolean
}

export const TOO_LATE =
  'the permission arrived too late, or this machine was suspended: it is requested again'

/** Removes the file, or throws while it is there. */
export type Remove = (permission: Permission) => void | Promise<void>

/** All functions throw when the catalogue does not answer, or its answer is not valid. */
export interface SafetyPort {
  /**
   * Does the catalogue have verified copies of exactly these contents in the store and on tape? A hint: nothing
   * is deleted because of this answer.
   */
  safetyOf(content: LocalContent, signal: AbortSignal): Promise<SafetyAnswer>
  /**
   * Calls `remove` when it is safe: the object in the store and a copy on tape are verified first, and a
   * tombstone is written before `remove` is called.
   * @throws also the error of `remove`.
   */
  removeWhenSafe(file: FileOnDisk, remove: Remove, signal: AbortSignal): Promise<SafetyAnswer>
  /** Reports the outcome of a permission later, when the immediate report failed. */
  endRemoval(object: ObjectName, permission: number, gone: boolean, signal: AbortSignal): Promise<void>
  /** Reports that the file is here; false when its contents are not catalogued yet. */
  reportPresent(file: FileOnDisk, readAt: Date, signal: AbortSignal): Promise<boolean>
  /**
   * Reports that a file is missing that was reported as present and not removed by this program. False when the
   * report has to be repeated later.
   */
  reportVanished(file: FileOnDisk, signal: AbortSignal): Promise<boolean>
}
