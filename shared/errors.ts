/**
 * The three ways work can fail, and the one table that sorts what libraries throw into them.
 *
 * A handler never looks at a library's error itself: it lets the error pass through `classify` (the hosts do)
 * and acts on its kind: try again, look again later, or keep the input and tell a human.
 */

/** More about an error, safe to log: identifiers and numbers, never credentials or payloads. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>

/** What our own errors have in common: a sentence for people, details for logs. */
export abstract class CygnetError extends Error {
  /** Written out, not taken from the class: a minified bundle renames classes. */
  abstract override readonly name: string
  readonly details: ErrorDetails
  constructor(message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options)
    this.details = details
  }
}

/**
 * Thrown when trying again may succeed: a timeout, a lost connection, a busy server. Retried, then
 * dead-lettered.
 */
export class TransientError extends CygnetError {
  override readonly name = 'TransientError'
}

/**
 * Thrown when the input itself is wrong, in words a physicist understands. Never retried; the input is kept
 * and shown.
 */
export class InvalidInputError extends CygnetError {
  override readonly name = 'InvalidInputError'
}

/** Thrown when somebody else holds the lease on the same work: look again later. */
export class ConflictError extends CygnetError {
  override readonly name = 'ConflictError'
}

export type Failure = TransientError | InvalidInputError | ConflictError

/** Names, codes and statuses thrown by the AWS SDK, S3 stores and HTTP servers that pass with time. */
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

/** Codes of sockets, name look-ups and MariaDB that pass with time (mysql2 puts both in `code`). */
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
 * Credentials and missing buckets are the operator's to mend: the input is good, so it waits (and is
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
  readonly errors?: readonly Error[]
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $retryable?: unknown
}

/**
 * Turns whatever was thrown into one of the three kinds. What is not known becomes `TransientError`: it is
 * tried again a bounded number of times and then dead-lettered, where a human reads it; nothing is dropped on
 * a guess.
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
  const known = error.code ?? error.name ?? 'Error'
  const details: Record<string, string | number> = { error: known }
  if (status !== undefined) details.httpStatus = status
  // A failed HEAD has no body, and the SDK no name for it.
  const isSilent = error.message === 'UnknownError' && status !== undefined
  const text = isSilent
    ? `the store answered with status ${status} and no reason`
    : `${known}: ${messageOf(error)}`
  if (OPERATOR_NAMES.has(error.name ?? '') || OPERATOR_NAMES.has(error.code ?? ''))
    return new TransientError(`needs an operator: ${text}`, { ...details, operator: true }, { cause: thrown })
  if (error.name === 'PreconditionFailed' || status === 412)
    return new ConflictError(`the object changed while it was read: ${text}`, details, { cause: thrown })
  if (error.name === 'NoSuchKey' || error.name === 'NotFound' || status === 404)
    return new TransientError(
      `not there (yet, or any more): ${text}`,
      { ...details, missing: true },
      { cause: thrown },
    )
  return new TransientError(text, details, { cause: thrown })
}

/** An AggregateError (a connection refused on every address of a name) says nothing itself; its parts do. */
function messageOf(error: Thrown): string {
  const [first] = error.errors ?? []
  return error.message || first?.message || 'no message'
}

/**
 * True when the error is known to pass with time, so that waiting in place is worth it (else let the queue
 * wait).
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
