/**
 * What endpoints answer when something is wrong, as errors a person can act on. Nothing of a link or token
 * gets in.
 */
import { TransientError } from '../../errors.ts'
import type { Answer } from '../http/exchange.ts'
import { shown } from '../http/failures.ts'

const MOST_TEXT_BYTES = 4096

/**
 * An answer that is not the one needed, as an error: the status, and what the endpoint says about it. Reads
 * its body.
 */
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
  413: 'too large for what it allows',
  423: 'locked',
  429: 'too many requests',
  500: 'a fault of its own',
  502: 'what stands behind it does not answer',
  503: 'busy or in maintenance',
  504: 'what stands behind it does not answer in time',
  507: 'no room is left there',
}

/**
 * The beginning of a body as text; empty when it cannot be read. A problem document (RFC 9457) gives its
 * title and detail.
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
    // what came is all there is
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
