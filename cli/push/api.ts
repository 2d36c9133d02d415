/**
 * Client of the catalogue's API for `cygnet push`: JSON over HTTPS with a bearer token. Requests are repeated
 * during outages; a refusal becomes an error with the API's sentence.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { type CygnetError, InvalidInputError, TransientError } from '../../shared/errors.ts'
import { RefusedError } from './result.ts'

export interface Api {
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>
  /** Null for status 404. */
  getOrNull<T>(path: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T | null>
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
  /** Null for status 404, or 405 from an earlier version of the API. */
  postOrNull<T>(path: string, body: unknown, schema: z.ZodType<T>, signal: AbortSignal): Promise<T | null>
}

const ATTEMPTS = 4
const FIRST_PAUSE_MS = 250
const ANSWER_SECONDS = 30
const ANSWER_BYTES = 1024 * 1024
const NOT_THE_API = 'the answer from CYGNET_API_URL is not from the API of the catalogue'

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  readonly signal: AbortSignal
}

/**
 * @param signal aborts every request, as the signal of the call does.
 * @throws InvalidInputError for an address over which the token would be sent in clear text; an address of
 * this machine is allowed.
 */
export function createApi(url: string, token: string, signal: AbortSignal): Api {
  const base = new URL(url.endsWith('/') ? url : `${url}/`)
  if (base.protocol !== 'https:' && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(base.hostname))
    throw new InvalidInputError('CYGNET_API_URL must be https: the token would be sent in clear text')
  // The address is part of errors and of the stored state of uploads.
  if (base.username !== '' || base.password !== '')
    throw new InvalidInputError('CYGNET_API_URL must not contain a user name or password')
  const request = async (call: Call): Promise<Response> => {
    for (let attempt = 1; ; attempt++) {
      call.signal.throwIfAborted()
      const answer = await send(base, token, call)
      if (!(answer instanceof TransientError)) return answer
      if (attempt >= ATTEMPTS) throw answer
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), undefined, {
        signal: call.signal,
      })
    }
  }
  return {
    get: async (path, schema) => await content(await request({ method: 'GET', path, signal }), schema),
    getOrNull: async (path, schema, callSignal) =>
      await contentOrNull(
        await request({ method: 'GET', path, signal: AbortSignal.any([signal, callSignal]) }),
        schema,
        [404],
      ),
    post: async (path, body, schema) =>
      await content(await request({ method: 'POST', path, body, signal }), schema),
    postOrNull: async (path, body, schema, callSignal) =>
      await contentOrNull(
        await request({ method: 'POST', path, body, signal: AbortSignal.any([signal, callSignal]) }),
        schema,
        [404, 405],
      ),
  }
}

async function contentOrNull<T>(
  answer: Response,
  schema: z.ZodType<T>,
  absent: readonly number[],
): Promise<T | null> {
  if (!absent.includes(answer.status)) return await content(answer, schema)
  // A gateway also answers 404 while the API behind it is being replaced.
  if (problem.safeParse(parseJson(await textOf(answer))).success) return null
  throw new TransientError(NOT_THE_API, { operator: true })
}

/**
 * Sends one request; returns the answer, or a temporary error. A redirect is not followed: the token is for
 * this address only.
 */
async function send(
  base: URL,
  token: string,
  { method, path, body, signal }: Call,
): Promise<Response | TransientError> {
  const limit = AbortSignal.timeout(ANSWER_SECONDS * 1000)
  try {
    const answer = await fetch(new URL(path, base), {
      method,
      redirect: 'error',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, limit]),
    })
    if (answer.status !== 429 && answer.status < 500) return answer
    await answer.body?.cancel()
    return new TransientError(`the API at ${base.host} answers ${answer.status}; try again later`)
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted)
      return new TransientError(`the API at ${base.host} did not answer within ${ANSWER_SECONDS} s`)
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    return new TransientError(`the API at ${base.host} cannot be reached: ${cause}`, {}, { cause: error })
  }
}

async function content<T>(answer: Response, schema: z.ZodType<T>): Promise<T> {
  const text = await textOf(answer)
  const json = parseJson(text)
  if (!answer.ok) throw refused(answer.status, json)
  const result = schema.safeParse(json)
  // A wrong address, or the sign-in page of the network: not an error of the file.
  if (!result.success) throw new TransientError(NOT_THE_API, { operator: true })
  return result.data
}

/** The body. No answer of the API is longer than the limit. */
async function textOf(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of answer.body ?? []) {
      length += chunk.length
      if (length > ANSWER_BYTES)
        throw new TransientError(`the API gave an answer of more than ${ANSWER_BYTES} bytes`, {
          operator: true,
        })
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof TransientError
      ? error
      : new TransientError('the answer of the API was cut off', {}, { cause: error })
  }
  return Buffer.concat(chunks).toString('utf8')
}

const problem = z.object({ detail: z.string() })

/**
 * The error for a refusal. It has the status where the AWS SDK puts it, so that a refusal by the API is handled
 * like one by the store. A wrong token is a temporary error, since it can be replaced; a missing scope is not.
 */
function refused(status: number, json: unknown): CygnetError {
  const detail = problem.safeParse(json).data?.detail ?? `status ${status}`
  const error =
    status === 401
      ? new TransientError(
          `the API does not accept CYGNET_API_TOKEN: ${detail}. A new one is made with \`cygnet token create\``,
          {
            operator: true,
          },
        )
      : new RefusedError(`the API refuses this: ${detail}`)
  return Object.assign(error, { $metadata: { httpStatusCode: status } })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
