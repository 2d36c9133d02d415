/** Error answers of endpoints as errors that a person can act on, without any part of a link or token. */
import { TransientError } from '../../errors.ts'
import type { Answer } from '../http/exchange.ts'
import { shown } from '../http/failures.ts'

const MOST_TEXT_BYTES = 4096

/** An unexpected answer as an error with its status and the endpoint's message. Reads the body. */
export async function refusal(
  answer: Answer,
  what: string,
  secrets: readonly string[] = [],
): Promise<TransientError> {
  const text = shown(await textOf(answer), secrets)
  const { status } = answer
  const details = { httpStatus: status, ...(status === 401 || status === 403 ? { operator: true } : {}) }
  const meaning = MEANINGS[status]
  return new TransientError(
    `${answer.url.host} answered ${status}${meaning === undefined ? '' : ` (${meaning})`} to ${what}${text === '' ? '' : `: ${text}`}`,
    details,
  )
}

const MEANINGS: Readonly<Record<number, string>> = {
  401: 'it does not accept our token',
  403: 'our token does not allow this',
  404: 'not there',
  413: 'larger than it allows',
  423: 'locked',
  429: 'too many requests',
  500: 'internal error',
  502: 'its backend does not answer',
  503: 'busy or in maintenance',
  504: 'its backend does not answer in time',
  507: 'no space left',
}

/**
 * The beginning of a body as text; what was received until then when it cannot be read to the end. Of a
 * problem document (RFC 9457), title and detail.
 */
async function textOf(answer: Answer): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= MOST_TEXT_BYTES) break
    }
  } catch {
    // Use what was received.
  }
  const text = Buffer.concat(chunks).subarray(0, MOST_TEXT_BYTES).toString('utf8')
  if (answer.header('content-type')?.includes('json') !== true) return text
  try {
    const { title, detail, message } = JSON.parse(text)
    return [title, detail, message].filter((part) => typeof part === 'string').join(': ')
  } catch {
    return text
  }
}
