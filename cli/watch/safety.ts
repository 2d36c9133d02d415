/**
 * Who says whether a file of the DAQ's disk may go: the catalogue, asked through its API.
 */
import type { LocalContent } from '../../shared/copies/delete/safety.ts'
import type { ObjectName } from '../../shared/run.ts'

/** A file on this machine's disk, its SHA-256 as it was read. */
export interface FileOnDisk extends LocalContent {
  /** Absolute. */
  readonly path: string
}

export interface Answer {
  readonly safe: boolean
  /** One sentence: what makes it safe, or what is awaited. */
  readonly why: string
}

/** What allows a removal for a while; what came of it is reported afterwards. */
export interface Permission {
  /** To be on this disk before the file goes. */
  readonly id: number
  /** One sentence: what was looked at. */
  readonly why: string
  /** To be asked in the moment before the file goes. */
  isOver(): boolean
}

export const TOO_LATE = 'the permission came too late, or this machine stood still: it is asked for anew'

/** Removes the file, or throws while it is there. */
export type Remove = (permission: Permission) => void | Promise<void>

/** All throw when the catalogue does not answer, or not in a way that can be understood. */
export interface SafetyPort {
  /**
   * Are a copy of exactly these contents in the store and another on tape verified, by what is written?
   * Nothing is deleted on this word.
   */
  safetyOf(content: LocalContent, signal: AbortSignal): Promise<Answer>
  /**
   * Calls `remove` when it is safe, and says so: the object in the store and a copy on tape are looked at for
   * this answer, and a tombstone is written before `remove` is called.
   * @throws also what `remove` throws.
   */
  forget(file: FileOnDisk, remove: Remove, signal: AbortSignal): Promise<Answer>
  /** Says what came of a permission, where it could not be said at once. */
  endRemoval(object: ObjectName, permission: number, gone: boolean, signal: AbortSignal): Promise<void>
  /** Writes down that the file is here; false when the catalogue does not know its contents yet. */
  note(file: FileOnDisk, readAt: Date, signal: AbortSignal): Promise<boolean>
  /**
   * A file that was noted is not there any more, and was not removed by us. False when that is to be said
   * again later.
   */
  vanished(file: FileOnDisk, signal: AbortSignal): Promise<boolean>
}
