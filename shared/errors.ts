/**
 * The three ways in which work can fail, and the one table that maps errors of libraries to them.
 *
 * A handler never inspects a library's error itself: the error passes through `classify` (the hosts call it),
 * and the handler acts on its kind: retry, check again later, or keep the input and alert a person.
 */

import { wellFormed } from './text.ts'

/** Details of an error that are safe to log: identifiers and numbers, never credentials or payloads. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>

/** The base of our errors: a sentence for people, and details for logs. */
export abstract class CygnetError extends Error {
  /** Written out instead of derived from the class, since a minified bundle renames classes. */
  abstract override readonly name: string
  readonly details: ErrorDetails
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.details = details
  }
}

/**
 * Thrown when a retry may succeed: a timeout, a lost connection, a busy server. Retried, then dead-lettered.
 */
export class TransientError extends CygnetError {
  override readonly name = 'TransientError'
}

/**
 * Thrown when the input itself is invalid, with a sentence for physicists. Never retried; the input is kept
 * and shown.
 */
export class InvalidInputError extends CygnetError {
  override readonly name = 'InvalidInputError'
}

/** Thrown when another process has the lease on the same work: check again later. */
export class ConflictError extends CygnetError {
  override readonly name = 'ConflictError'
}

export type Failure = TransientError | InvalidInputError | ConflictError

/** Names, codes and statuses of temporary errors of the AWS SDK, S3 stores and HTTP servers. */
const TRANSIENT_NAMES = new Set([
  'AbortError',
  'InternalError',
  'InternalFailure',
  'OperationAborted',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServerBusy',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TimeoutError',
  'TooManyRequestsException',
  'XMinioServerNotInitialized',
  'XAmzContentSHA256Mismatch',
])

/** Codes of temporary errors of sockets, name resolution and MariaDB (mysql2 puts all of them in `code`). */
const TRANSIENT_CODES = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_SOCKET',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ER_CON_COUNT_ERROR',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_QUERY_INTERRUPTED',
  'ER_SERVER_SHUTDOWN',
  'ER_CHECKREAD',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
])

/**
 * Invalid credentials and missing buckets need an operator. The input is good, so it waits (and is
 * dead-lettered).
 */
const OPERATOR_NAMES = new Set([
  'AccessDenied',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'NoSuchBucket',
  'SignatureDoesNotMatch',
  'ER_ACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_NO_SUCH_TABLE',
])

interface Thrown {
  readonly name?: string
  readonly code?: string
  readonly message?: string
  readonly errno?: number
  /** Of MariaDB. */
  readonly sqlMessage?: string
  readonly errors?: readonly Error[]
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $retryable?: unknown
}

/** The requests that failed, by their errors: those of the SDK name neither the operation nor the object. */
const requests = new WeakMap<object, string>()

/** States with which request an error was thrown, e.g. `HeadObject of cygno-data/LNGS/run00001.mid`. */
export function nameRequest(thrown: unknown, request: string): void {
  if (typeof thrown === 'object' && thrown !== null) requests.set(thrown, request)
}

/**
 * Maps any thrown value to one of the three kinds. An unknown error becomes `TransientError`: it is retried a
 * limited number of times and then dead-lettered for a person to read; nothing is dropped by assumption.
 */
export function classify(thrown: unknown): Failure {
  if (
    thrown instanceof TransientError ||
    thrown instanceof InvalidInputError ||
    thrown instanceof ConflictError
  )
    return thrown
  const error = (
    typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) }
  ) as Thrown
  const status = error.$metadata?.httpStatusCode
  const known = codeOf(error)
  const details: Record<string, string | number> = { error: known }
  if (status !== undefined) details.httpStatus = status
  // A failed HEAD has no body, and the SDK has no name for its error.
  const isSilent = error.message === 'UnknownError' && status !== undefined
  const reason = isSilent
    ? `the store answered with status ${status} and no reason`
    : wellFormed(`${known}: ${messageOf(error)}`)
  const request = requests.get(error)
  const text = request === undefined ? reason : `${request}: ${reason}`
  if (OPERATOR_NAMES.has(error.name ?? '') || OPERATOR_NAMES.has(error.code ?? ''))
    return new TransientError(`needs an operator: ${text}`, { ...details, operator: true }, { cause: thrown })
  if (error.name === 'PreconditionFailed' || status === 412)
    return new ConflictError(`the object changed while it was read: ${text}`, details, { cause: thrown })
  if (error.name === 'NoSuchKey' || error.name === 'NotFound' || status === 404)
    return new TransientError(
      `missing (not yet stored, or deleted): ${text}`,
      { ...details, missing: true },
      { cause: thrown },
    )
  return new TransientError(text, details, { cause: thrown })
}

/** An error of MariaDB is named by its number: the driver knows only the names that MySQL gives to numbers. */
const codeOf = ({ code, name, errno, sqlMessage }: Thrown): string =>
  sqlMessage === undefined ? (code ?? name ?? 'Error') : `MariaDB error ${errno}`

/**
 * An AggregateError (connections refused on all addresses of a name) has no message of its own, but its parts
 * have.
 */
function messageOf(error: Thrown): string {
  const [first] = error.errors ?? []
  return error.message || first?.message || 'no message'
}

/**
 * Whether the error is known to be temporary, so that waiting here is worthwhile (otherwise the queue waits).
 */
export function passesWithTime(thrown: unknown): boolean {
  if (thrown instanceof TransientError)
    return thrown.details.operator !== true && thrown.details.missing !== true
  if (typeof thrown !== 'object' || thrown === null) return false
  const error = thrown as Thrown
  const status = error.$metadata?.httpStatusCode ?? 0
  return (
    error.$retryable !== undefined ||
    TRANSIENT_NAMES.has(error.name ?? '') ||
    TRANSIENT_NAMES.has(error.code ?? '') ||
    TRANSIENT_CODES.has(error.code ?? '') ||
    status === 408 ||
    status === 429 ||
    status >= 500
  )
}
