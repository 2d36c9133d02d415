/**
 * The port of a tape endpoint: a place for second copies. One driver per kind of endpoint (directory, webdav,
 * fts, rucio) and one conformance suite for all of them (test/support/tape/conformance.ts).
 *
 * Every driver guarantees:
 * - A copy never overwrites or removes a file that has the name. A driver removes only its own temporary
 *   files.
 * - `stored` and `present` are returned only after the checksum of the file at the endpoint was compared with
 *   the expected one, after the write. A success message or a matching size is not enough.
 * - An unknown outcome (connection lost, answer cut off) is resolved by a check, or reported as a
 *   TransientError; the caller then checks before it acts again.
 * - No returned error, reference or URL contains credentials.
 */
import type { ObjectName, RunId } from '../run.ts'

/**
 * The expected content of a file at the endpoint. Checksums are lower-case hex, `adler32` of 8 digits. Tag
 * and run number are for endpoints that store metadata with a file.
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
   * The object's bytes from its start; each call reads them again. Throws ConflictError when the object has
   * been replaced in the meantime.
   */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>
  /** A link with which the endpoint can fetch the object without other credentials, valid for this long. */
  presign(lifetimeSeconds: number): Promise<string>
}

export interface CopyOptions {
  /**
   * 1 for the first job of a service, incremented only after a job failed. The same number means the same
   * job: a request whose answer was lost can be repeated without creating a second job.
   */
  readonly attempt: number
  /** False: earlier third-party copies of the file failed, and its bytes are streamed through this process. */
  readonly thirdParty?: boolean
}

export type CopyResult =
  /** The copy is at the endpoint under its name and its checksum was compared there. */
  | {
      readonly kind: 'stored'
      readonly how: 'third-party' | 'streamed'
      /** Bytes of the file that went through this process. */
      readonly bytesThroughUs: number
      readonly verifiedBy: string
      readonly evidence: ContentEvidence
      /** False while the endpoint holds it on its disk buffer only. */
      readonly onMedia: boolean
      /** As in TapeCheck. */
      readonly assumedSince?: Date
    }
  /** A service has accepted the copy; `reference` (a job id, a rule id) identifies it there. */
  | { readonly kind: 'submitted'; readonly reference: string }
  /** A file with other contents has this name; it is left untouched. */
  | { readonly kind: 'occupied'; readonly reason: string }

/**
 * How the contents were compared: by a checksum that the place states, which it may have computed long ago
 * (no endpoint states when), or by reading all bytes now.
 */
export type ContentEvidence = 'stored-checksum' | 'read'

/** What the endpoint has under a name at this moment. */
export type TapeCheck =
  /** `evidence` where only a service states this, and the endpoint was not asked. */
  | { readonly kind: 'absent'; readonly evidence?: 'statement' }
  /**
   * A service is processing it (a job or rule that has not ended). `isUnknown`: it may have ended; the service states
   * something that this version does not know. It is shown, and alerted when the copy is late.
   */
  | { readonly kind: 'in-progress'; readonly reason: string; readonly isUnknown?: true }
  /**
   * A file with the expected checksum. `onMedia` is false while it is only on the endpoint's disk buffer.
   * A `statement` is the word of a service that it compared the checksum earlier: this counts as a copy, but no
   * other copy may be deleted because of it.
   */
  | {
      readonly kind: 'present'
      readonly verifiedBy: string
      readonly evidence: 'statement' | ContentEvidence
      readonly onMedia: boolean
      /**
       * Where the endpoint counts as the medium itself only because it shows no tape system: since when it has
       * shown none. Such a conclusion needs time before the copy counts as on the medium.
       */
      readonly assumedSince?: Date
    }
  /** A file with another size (`existence`) or checksum. */
  | {
      readonly kind: 'different'
      readonly evidence: 'statement' | 'existence' | ContentEvidence
      readonly reason: string
    }
  /**
   * A file that could not be compared: the endpoint states no checksum, and reading it back was not requested
   * or is not possible now.
   */
  | { readonly kind: 'unverified'; readonly reason: string }
  /**
   * A file that cannot be compared unless it is staged: the endpoint states no checksum, and it is not known to
   * be on disk. A check never stages.
   */
  | { readonly kind: 'unproven'; readonly reason: string }
  /** The job or rule ended without producing the file; a new try needs a new attempt number. */
  | { readonly kind: 'failed'; readonly reason: string }

export interface CheckOptions {
  /** The reference of the `submitted` copy, if there is one. */
  readonly reference: string | null
  /**
   * Whether the bytes may be read back to compute a checksum where the endpoint states none. `always` reads
   * them even where one is stated.
   */
  readonly readBack: 'never' | 'if-needed' | 'always'
  /** The file was there before: then nothing that the endpoint shows may contradict its absence. */
  readonly wasThere?: boolean
}

export type StageResult =
  /**
   * `reference` names the request that keeps the file online, for `release`; null where no request was
   * needed.
   */
  | { readonly kind: 'online'; readonly reference: string | null }
  | { readonly kind: 'staging'; readonly reference: string; readonly reason: string }
  /** The request ended without the file: a call without its reference makes a new one. */
  | { readonly kind: 'failed'; readonly reference: null; readonly reason: string }

/**
 * Identifies a series of calls, of minutes, which may share one answer of the endpoint about a request of many
 * files. Compared by identity.
 */
export type Round = object

export interface StagedTogether {
  /** Serves each of the files, as the reference of `stage`. */
  readonly reference: string
  /** Those that were requested. */
  readonly files: readonly TapeFile[]
  /**
   * Those that need `stage`, which states why they were left out. Any others were not checked in time: another
   * request may name them.
   */
  readonly leftOut: readonly TapeFile[]
}

export interface TapeDriver {
  readonly kind: 'directory' | 'webdav' | 'fts' | 'rucio'
  /** Names the endpoint in the catalogue, without credentials. */
  readonly endpoint: string
  /** The address of a file, without credentials. */
  url(name: string): string
  /**
   * Makes the copy, or submits it to a service. Called only after `check` returned `absent` or `failed`.
   * @throws InvalidInputError when the source's bytes are not the expected ones (then no file has the name),
   * TransientError when it failed or its outcome is unknown, with `thirdParty` in its details when that was a
   * third-party copy; ConflictError when the source object has been replaced.
   */
  copy(file: TapeFile, source: CopySource, options: CopyOptions, signal: AbortSignal): Promise<CopyResult>
  /**
   * Finds out what the endpoint has. Changes nothing. @throws TransientError when that is not possible now.
   */
  check(file: TapeFile, options: CheckOptions, signal: AbortSignal): Promise<TapeCheck>
  /**
   * Brings a file from tape to disk and keeps it readable for this long. Called repeatedly with the returned
   * reference until it returns `online` or `failed`. @throws InvalidInputError when the endpoint reports the
   * file as lost or has no such file; TransientError with `missing` in its details when only this file cannot
   * be read at present.
   */
  stage(
    file: TapeFile,
    options: {
      readonly reference: string | null
      readonly lifetimeSeconds: number
      readonly round?: Round
    },
    signal: AbortSignal,
  ): Promise<StageResult>
  /**
   * Only where one request can name many files, which the endpoint then reads in the order of their positions
   * on tape: requests files as `stage` does without a reference. Null when none was requested: each needs `stage`.
   * Files that cannot be requested, for any reason, do not keep the others from it.
   * @throws TransientError when no file could be checked, when the request failed, or when it is unknown whether
   * it was made.
   */
  stageAll?(
    files: readonly TapeFile[],
    options: {
      readonly lifetimeSeconds: number
      /** After this time no more files are checked, and those that were are requested. */
      readonly checkSeconds: number
    },
    signal: AbortSignal,
  ): Promise<StagedTogether | null>
  /**
   * Ends a request of `stage` or `stageAll` for this file, and for no other: it need no longer be staged or
   * kept on disk. The copy itself is not changed. A request that has ended, is unknown or does not concern the
   * file is ignored.
   * @throws TransientError when it failed; the file then stays on disk until its requested lifetime ends.
   */
  release(file: TapeFile, reference: string, signal: AbortSignal, round?: Round): Promise<void>
  /**
   * The file's bytes. @throws TransientError when it is not online or ends short, with `missing` in its details
   * when the endpoint has no such file.
   */
  read(file: TapeFile, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Only where the endpoint supports it: the endpoint itself sends the file to this address with one PUT, so
   * that no byte passes through us. The caller verifies what arrived. @throws TransientError when it failed,
   * with `thirdParty` in its details.
   */
  send?(file: TapeFile, putUrl: string, signal: AbortSignal): Promise<'sent' | 'unsupported'>
  /**
   * Files whose names start with a prefix (`''` for all), our temporary files excluded. Used to find files
   * that the catalogue does not know.
   */
  list?(
    prefix: string,
    signal: AbortSignal,
  ): AsyncIterable<{ readonly name: string; readonly sizeBytes: number }>
  close(): Promise<void>
}
