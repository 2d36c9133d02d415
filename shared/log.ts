/**
 * Logs are events: one JSON object a line with a fixed name (`event`) and fixed fields (`function`, `run`,
 * `tag`, `key`, `attempt`, `ms`), so that an operator finds everything about run 12345 with one filter.
 */
import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Fields whose values never reach a log line, at any depth a caller is likely to pass them. */
const REDACTED = [
  'token',
  'password',
  'secret',
  'authorization',
  'Authorization',
  'secretAccessKey',
  'credentials',
]

/**
 * Makes the process's logger. It writes to `destination` (standard output), synchronously: a kill loses no
 * line.
 */
export function createLogger(options: {
  readonly function: string
  readonly level: string
  readonly destination?: { write(line: string): void }
}): Logger {
  return pino(
    {
      level: options.level,
      base: { function: options.function },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '***' },
      serializers: { error: describeError },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  )
}

/**
 * An error as log fields: its kind, its sentence, its details and the first cause. Presigned queries are cut.
 */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { name: 'NotAnError', message: withoutSecrets(String(error)) }
  const details = 'details' in error ? { details: error.details } : {}
  const cause =
    error.cause instanceof Error
      ? { cause: `${error.cause.name}: ${withoutSecrets(error.cause.message)}` }
      : {}
  return { name: error.name, message: withoutSecrets(error.message), ...details, ...cause }
}

/**
 * Cuts what must not be shown from a text: passwords in addresses, signatures in presigned links, bearer
 * tokens.
 */
export function withoutSecrets(text: string): string {
  return text
    .replace(/\/\/([^:/@\s]*):[^@/\s]*@/g, '//$1:***@')
    .replace(
      /([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=)[^&\s]*/gi,
      '$1***',
    )
    .replace(/\b(Bearer\s+)[\w.~+/=-]+/gi, '$1***')
}
