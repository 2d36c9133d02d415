/**
 * Logs are events: one JSON object per line with a fixed name (`event`) and fixed fields (`function`, `run`,
 * `tag`, `key`, `attempt`, `ms`), so that an operator finds everything about run 12345 with one filter.
 */
import { type Logger, pino } from 'pino'
import { limitRepeats } from './time/limit-repeats.ts'

export type { Logger } from 'pino'

/** Fields whose values never appear in a log line, at any depth at which callers are likely to pass them. */
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
 * Creates the logger of the process. It writes to `destination` (standard output) synchronously, so that a
 * kill loses no line. Of equal errors ten lines a minute are written, and then one with the number of the others
 * (`repeated`).
 */
export function createLogger(options: {
  readonly function: string
  readonly level: string
  readonly destination?: { write(line: string): void }
}): Logger {
  const repeats = limitRepeats()
  return pino(
    {
      level: options.level,
      base: { function: options.function },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '***' },
      serializers: { error: describeError },
      hooks: {
        logMethod(args, method, level) {
          const [fields, event] = args as readonly unknown[]
          const error = errorIn(fields)
          const writeCount = (repeated: number) =>
            method.apply(this, [{ ...(fields as object), repeated }, String(event)])
          if (level < WARN || error === null || repeats.isWritten(String(event), error, writeCount))
            method.apply(this, args)
        },
      },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  )
}

/** Of pino. */
const WARN = 40

const errorIn = (fields: unknown): Error | null =>
  typeof fields === 'object' && fields !== null && 'error' in fields && fields.error instanceof Error
    ? fields.error
    : null

/**
 * An error as log fields: kind, message, details and first cause. The queries of presigned links are removed.
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

/** Removes secrets from a text: passwords in addresses, signatures in presigned links, bearer tokens. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/\/\/([^:/@\s]*):[^@/\s]*@/g, '//$1:***@')
    .replace(
      /([?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|AWSAccessKeyId)=)[^&\s]*/gi,
      '$1***',
    )
    .replace(/\b(Bearer\s+)[\w.~+/=-]+/gi, '$1***')
}
