/**
 * What a place for second copies must be able to do. One file per kind of place (directory, webdav, fts,
 * rucio), one conformance suite for all of them (test/support/tape/conformance.ts).
 *
 * The promises every driver keeps:
 * - nothing that is there under a name is ever overwritten or removed by a copy; only what the driver itself
 *   left behind under a temporary name is;
 * - `stored` and `present` are said only after the checksum of what is at the endpoint was compared, after it
 *   was written, with the file's: neither a success message nor a size is a proof;
 * - an outcome that is not known (a connection lost, an answer without its last line) is found out by
 *   looking, or else is a TransientError: then the caller looks before it acts again;
 * - credentials appear in no error, reference or URL that is returned.
 */
import type { ObjectName, RunId } from '../run.ts'

/**
 * A file as it should be at the endpoint. Checksums are lower-case hex, `adler32` of 8 digits; tag and run
 * number are for endpoints that keep a note of what a file is.
 */
export interface TapeFile extends RunId {
  /** Path below the endpoint's root, `<bucket>/<TAG>/<file>`: see `tapeName`. */
  readonly name: string
  readonly sizeBytes: number
  readonly adler32: string
  readonly md5: string
  readonly sha256: string
}

/** Where the bytes of a copy come from. */
export interface CopySource {
  readonly object: ObjectName
  /**
   * The object's bytes from its start; each call reads them anew. Throws ConflictError when it is another
   * object by now.
   */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
  /** A link by which the endpoint can fetch the object itself, without other credentials, for so long. */
  presign(lifetimeSeconds: number): Promise<string>
}

export interface CopyOptions {
  /**
   * 1 for the first job that a service is asked for; counted on only after one ended in vain. The same number
   * means the same job: a request whose answer was lost is repeated without making a second one.
   */
  readonly attempt: number
}

export type CopyResult =
  /** The copy is at the endpoint under its name and its checksum was compared there. */
  | {
      readonly kind: 'stored'
      readonly how: 'third-party' | 'streamed'
      /** Bytes of the file that went through this process. */
      readonly bytesThroughUs: number
      readonly verifiedBy: string
      /** False while the endpoint holds it on its disk buffer only. */
      readonly onMedia: boolean
    }
  /** A service works on it by itself; `reference` (a job id, a rule id) leads back to it. */
  | { readonly kind: 'submitted'; readonly reference: string }
  /** Something with other contents has this name: it stays. */
  | { readonly kind: 'occupied'; readonly reason: string }

/** What is at the endpoint under a name at this moment. */
export type TapeCheck =
  | { readonly kind: 'absent' }
  /** A service is at work on it (a job or rule that has not ended). */
  | { readonly kind: 'in-progress'; readonly reason: string }
  /**
   * There, with the file's checksum. `onMedia` is false while it is on the endpoint's disk buffer only.
   * `isUnconfirmed` where a service says that it once compared the checksum, and nothing could be compared now: a
   * copy, but nothing to delete another copy on.
   */
  | {
      readonly kind: 'present'
      readonly verifiedBy: string
      readonly onMedia: boolean
      readonly isUnconfirmed?: true
    }
  /** There, with another size or checksum. */
  | { readonly kind: 'different'; readonly reason: string }
  /**
   * There, but nothing could be compared: the endpoint states no checksum, and reading back was not asked for
   * or not possible now.
   */
  | { readonly kind: 'unverified'; readonly reason: string }
  /** The job or rule ended without the file being there; a new try needs a new attempt number. */
  | { readonly kind: 'failed'; readonly reason: string }

export interface CheckOptions {
  /** What a `submitted` copy returned, when there is one. */
  readonly reference: string | null
  /**
   * Whether the bytes may be read back to compute a checksum where the endpoint states none. `always` reads
   * them even where one is stated.
   */
  readonly readBack: 'never' | 'if-needed' | 'always'
}

export type StageResult =
  /**
   * `reference` names the request that keeps it there, for `release`; null where nothing had to be asked for.
   */
  | { readonly kind: 'online'; readonly reference: string | null }
  | { readonly kind: 'staging'; readonly reference: string; readonly reason: string }

export interface TapeDriver {
  readonly kind: 'directory' | 'webdav' | 'fts' | 'rucio'
  /** Names the endpoint in the catalogue, without credentials. */
  readonly endpoint: string
  /** The address of a file, without credentials. */
  url(name: string): string
  /**
   * Makes the copy, or asks a service for it. Called only after `check` returned `absent` or `failed`.
   * @throws InvalidInputError when the source's bytes are not the file's (nothing is left under the name),
   * TransientError when it failed or its outcome could not be found out, ConflictError when the source is
   * another object by now.
   */
  copy(file: TapeFile, source: CopySource, options: CopyOptions, signal: AbortSignal): Promise<CopyResult>
  /** Finds out what is there. Changes nothing. @throws TransientError when that cannot be found out now. */
  check(file: TapeFile, options: CheckOptions, signal: AbortSignal): Promise<TapeCheck>
  /**
   * Brings a file from the medium to where it can be read, and keeps it there for so long. Asked again with
   * the reference it gave until it says `online`. @throws InvalidInputError when the endpoint says that the
   * file is lost or not there.
   */
  stage(
    file: TapeFile,
    options: { readonly reference: string | null; readonly lifetimeSeconds: number },
    signal: AbortSignal,
  ): Promise<StageResult>
  /**
   * Ends a request of `stage`: for its sake the file need not be kept where it can be read any longer, or not
   * be brought there. The copy itself is not touched. A request that is over already, that nobody knows or
   * that is about another file is passed over.
   * @throws TransientError when it failed: then the file is kept until the lifetime that was asked for is
   * over.
   */
  release(file: TapeFile, reference: string, signal: AbortSignal): Promise<void>
  /** The file's bytes. @throws TransientError when it is not online or ends short. */
  read(file: TapeFile, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Where the endpoint can: has it send the file to this address with one PUT, so that no byte passes through
   * us. `unsupported`: it cannot. What arrived is compared by the caller. @throws TransientError when it
   * failed.
   */
  send?(file: TapeFile, putUrl: string, signal: AbortSignal): Promise<'sent' | 'unsupported'>
  /**
   * What lies below a prefix (`''` for all), temporary names of ours left out: for finding what the catalogue
   * does not know.
   */
  list?(
    prefix: string,
    signal: AbortSignal,
  ): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }>
  close(): Promise<void>
}
