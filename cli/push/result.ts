/** What became of each file given to `cygnet push`. */
import { InvalidInputError } from '../../shared/errors.ts'

/**
 * `uploaded` and `already-there`: the object was compared with the file. `would-upload`: of a dry run.
 * `refused`: not sent, on purpose. `failed`: something went wrong; the file is as it was.
 */
export type PushState = 'uploaded' | 'already-there' | 'would-upload' | 'refused' | 'failed'

export interface PushResult {
  readonly file: string
  readonly bucket: string
  /** Null when the file has no place in the store: its name is no run's. */
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
   * What failed: `store`, when any other file would have fared alike (store, network, settings), or this
   * `file`. Else null.
   */
  readonly failed: 'store' | 'file' | null
  /** What the store's answer was compared in. */
  readonly verifiedBy: readonly string[]
  readonly partCount: number | null
  /** Bytes that went to the store now; less than the file has when an earlier push had sent some. */
  readonly sentBytes: number
}

/** A result with nothing known but what is given. */
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
    partCount: null,
    sentBytes: 0,
    ...known,
  }
}

/** Thrown when a file is not sent on purpose: its name, its kind, or another object under its key. */
export class RefusedError extends InvalidInputError {}
