/**
 * Requests to the catalogue's API with JSON answers: repeated during outages, and the answer is validated.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { CygnetError, InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { ApiClient } from './client.ts'

const ATTEMPTS = 5
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 60_000
const ANSWER_SECONDS = 60

/**
 * Sends a request and returns the validated answer.
 * @param body sent as JSON by POST; without it the request is a GET. Both may be sent several times.
 * @throws InvalidInputError with the sentence of the API when it refuses, or when the answer is not from the
 * catalogue's API; TransientError when all attempts fail; the signal's reason.
 */
export async function requestJson<T>(
  api: ApiClient,
  path: string,
  schema: z.ZodType<T>,
  signal: AbortSignal,
  body?: object,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const result = schema.safeParse(parsed(await requestOnce(api, path, signal, body)))
      if (result.success) return result.data
      // A wrong address, or the sign-in page of the network.
      throw new InvalidInputError('the answer is not from the API of the catalogue')
    } catch (error) {
      signal.throwIfAborted()
      if (attempt >= ATTEMPTS || !(error instanceof TransientError)) throw error
      const retryAfterMs = Number(error.details.retryAfterSeconds ?? 0) * 1000
      const backOffMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
      await sleep(Math.min(Math.max(retryAfterMs, backOffMs), LONGEST_PAUSE_MS), undefined, { signal })
    }
  }
}

async function requestOnce(
  api: ApiClient,
  path: string,
  signal: AbortSignal,
  body: object | undefined,
): Promise<string> {
  const limit = AbortSignal.timeout(ANSWER_SECONDS * 1000)
  const post = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  try {
    const answer = await api.fetch(path, {
      ...(body === undefined ? {} : post),
      signal: AbortSignal.any([signal, limit]),
    })
    const text = await answer.text()
    if (answer.ok) return text
    throw refusalOf(answer, problem.safeParse(parsed(text)).data?.detail)
  } catch (error) {
    if (error instanceof CygnetError) throw error
    signal.throwIfAborted()
    const what = limit.aborted ? `did not answer within ${ANSWER_SECONDS} s` : 'broke off its answer'
    throw new TransientError(`the API ${what}`, {}, { cause: error })
  }
}

/**
 * Statuses whose details are whole sentences: not allowed, not found, not possible now. The details of other
 * statuses are about the request.
 */
const COMPLETE_SENTENCES: readonly number[] = [403, 404, 409, 422]

function refusalOf({ status, headers }: Response, detail: string | undefined): CygnetError {
  if (status === 429 || status >= 500) {
    const seconds = Number(headers.get('retry-after'))
    const retryAfterSeconds = Number.isFinite(seconds) ? seconds : 0
    return new TransientError(`the API cannot answer now: ${detail ?? `status ${status}`}`, {
      status,
      retryAfterSeconds,
    })
  }
  if (detail !== undefined && COMPLETE_SENTENCES.includes(status))
    return new InvalidInputError(detail, { status })
  return new InvalidInputError(`the API refuses this: ${detail ?? `status ${status}`}`, { status })
}

const problem = z.object({ detail: z.string() })

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
