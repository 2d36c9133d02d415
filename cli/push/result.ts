/** The result of each file given to `cygnet push`. */
import { InvalidInputError } from '../../shared/errors.ts'

/**
 * `uploaded` and `already-there`: the object was compared with the file. `would-upload`: in a dry run.
 * `refused`: not sent on purpose. `failed`: an error occurred; the file is unchanged.
 */
export type PushState = 'uploaded' | 'already-there' | 'would-upload' | 'refused' | 'failed'

export interface PushResult {
  readonly file: string
  readonly bucket: string
  /** Null when the file has no key in the store: its name is not that of a run. */
  readonly key: string | null
  readonly sizeBytes: number | null
  /** Lower-case hex; null where the file was not read. */
  readonly md5: string | null
  readonly sha256: string | null
  readonly adler32: string | null
  readonly state: PushState
  readonly seconds: number
  readonly error: string | null
  /**
   * The failed part: `store` when every other file would have failed as well (store, network, settings), or this
   * `file`. Else null.
   */
  readonly failed: 'store' | 'file' | null
  /** The checks in which the store's answer agreed. */
  readonly verifiedBy: readonly string[]
  /** Why the contents could not be compared after they were sent; else null. */
  readonly warning: string | null
  readonly partCount: number | null
  /** Bytes sent by this command; fewer than the file has when an earlier push had sent some. */
  readonly sentBytes: number
}

/** A result with the given fields, and defaults for the others. */
export function resultOf(
  file: string,
  { bucket, key }: { readonly bucket: string; readonly key: string | null },
  known: Partial<PushResult>,
): PushResult {
  return {
    file,
    bucket,
    key,
    sizeBytes: null,
    md5: null,
    sha256: null,
    adler32: null,
    state: 'failed',
    seconds: 0,
    error: null,
    failed: null,
    verifiedBy: [],
    warning: null,
    partCount: null,
    sentBytes: 0,
    ...known,
  }
}

/** Thrown when a file is not sent on purpose: its name, its kind, or another object under its key. */
export class RefusedError extends InvalidInputError {}
