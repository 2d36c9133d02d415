/**
 * Rucio's answers: schemas of its replicas and rules, its streams of one object per line, and its errors by
 * class.
 */
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { InvalidInputError, TransientError } from '../../errors.ts'
import { shown } from '../http/failures.ts'
import type { HttpAnswer } from '../tokens/http.ts'
import type { Service } from '../tokens/service.ts'

export const identifier = z.object({ scope: z.string(), name: z.string() })

/** Rucio gives null for what it does not know: a field that is missing was lost on the way. */
export const replica = identifier.extend({
  bytes: z.number(),
  adler32: z.string().nullable(),
  md5: z.string().nullable(),
  /** Addresses by RSE, in an order of its own; missing while it has none. */
  rses: z.record(z.string(), z.array(z.string())).nullish(),
  /** AVAILABLE, UNAVAILABLE, COPYING, BEING_DELETED, BAD, TEMPORARY_UNAVAILABLE, by RSE. */
  states: z.record(z.string(), z.string()).nullish(),
})
/** A file as Rucio knows it, with its locations. Size and checksums are those of its registration. */
export type RucioReplica = Readonly<z.infer<typeof replica>>

/** As Rucio writes it: `Mon, 01 Jan 2024 00:00:00 UTC`. */
const date = z.string().refine((text) => !Number.isNaN(Date.parse(text)))

export const rule = z.object({
  id: z.string().min(1),
  scope: z.string(),
  name: z.string(),
  /** OK, REPLICATING, STUCK, SUSPENDED, WAITING_APPROVAL, INJECT. */
  state: z.string().min(1),
  error: z.string().nullish(),
  account: z.string(),
  rse_expression: z.string(),
  /** When Rucio removes the rule, and with it any replica that no other rule protects; null: never. */
  expires_at: date.nullable(),
  copies: z.number(),
  locks_ok_cnt: z.number(),
  locks_replicating_cnt: z.number(),
  locks_stuck_cnt: z.number(),
})
export type RucioRule = Readonly<z.infer<typeof rule>>

export const ruleIds = z.array(z.string().min(1)).length(1)

const problem = z.object({ ExceptionClass: z.string(), ExceptionMessage: z.string().nullish() })

/** The class of an error ('' when the answer is not an error of Rucio), and its message. */
export function problemOf(text: string): { readonly kind: string; readonly message: string } {
  try {
    const { ExceptionClass: kind, ExceptionMessage: message } = problem.parse(JSON.parse(text))
    return { kind, message: message ?? '' }
  } catch {
    return { kind: '', message: '' }
  }
}

export const messageOf = (text: string): string => {
  const { kind, message } = problemOf(text)
  return kind === '' ? '' : `${kind}: ${message.split('\n', 1)[0] ?? ''}`
}

/**
 * Errors that only an operator can resolve, with the action to take. Rucio gives some of them the status 500.
 */
const FOR_OPERATORS = new Map(
  Object.entries({
    AccessDenied: 'the account lacks this permission',
    AccountNotFound: 'check CYGNET_RUCIO_ACCOUNT',
    CannotAuthenticate:
      'check the token: its audience, its scope, and whether its owner is mapped to the account',
    InsufficientAccountLimit: 'the account needs a larger quota on the RSE',
    InsufficientTargetRSEs: 'check CYGNET_RUCIO_TAPE_RSE',
    InvalidPath: 'check CYGNET_RUCIO_SOURCE_PREFIX: the RSE has other addresses',
    InvalidRSEExpression: 'check CYGNET_RUCIO_SOURCE_RSE and CYGNET_RUCIO_TAPE_RSE',
    RSEFileNameNotSupported: 'check CYGNET_RUCIO_SOURCE_PREFIX: the RSE has other addresses',
    RSENotFound: 'check CYGNET_RUCIO_SOURCE_RSE and CYGNET_RUCIO_TAPE_RSE',
    RSEProtocolNotSupported: 'check CYGNET_RUCIO_SOURCE_PREFIX: the RSE has other addresses',
    ScopeNotFound: 'the scope, which is the name of the bucket, has to be created in Rucio first',
    UnsupportedOperation: 'a non-deterministic RSE needs CYGNET_RUCIO_SOURCE_PREFIX',
  }),
)

/**
 * The error for an unexpected answer: InvalidInputError for a name that Rucio does not accept, else
 * TransientError.
 */
export function failure(
  service: Service,
  what: string,
  answer: HttpAnswer,
): TransientError | InvalidInputError {
  const { kind, message } = problemOf(answer.text)
  if (kind === 'InvalidObject')
    return new InvalidInputError(`Rucio does not accept this: ${shown(message.split('\n', 1)[0] ?? '')}`)
  const advice = FOR_OPERATORS.get(kind)
  if (advice === undefined) return service.failure(what, answer)
  return new TransientError(`Rucio ${what}: ${shown(messageOf(answer.text))}; ${advice}`, {
    service: 'Rucio',
    error: kind,
    operator: true,
  })
}

/** The one entry among several equal ones; null without any. @throws TransientError when they contradict. */
export function onlyOne<T>(what: string, entries: readonly T[]): T | null {
  const [first = null, ...others] = entries
  if (others.every((other) => isDeepStrictEqual(other, first))) return first
  throw new TransientError(`Rucio ${what}: entries that contradict each other`, { service: 'Rucio' })
}

export const STREAM_TYPE = 'application/x-json-stream'

/**
 * The objects of a stream with one per line, which may be none.
 * @throws TransientError for an answer of another type, or an invalid line: the stream broke off, or an error was sent in the middle of it.
 */
export function parseLines<T>(what: string, answer: HttpAnswer, schema: z.ZodType<T>): T[] {
  const malformed = (why: string) => new TransientError(`Rucio ${what}: ${why}`, { service: 'Rucio' })
  if (!answer.contentType.startsWith(STREAM_TYPE)) throw malformed('an answer of another type')
  return answer.text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const { kind } = problemOf(line)
      if (kind !== '') throw malformed(`${kind} in the middle of its answer`)
      try {
        return schema.parse(JSON.parse(line))
      } catch {
        throw malformed('an invalid or truncated answer')
      }
    })
}
