/** Reads a file from the endpoint: one GET, resumed after a broken connection, its length verified. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TransientError } from '../../errors.ts'
import type { TapeFile } from '../driver.ts'
import type { Answer } from '../http/exchange.ts'
import { lostConnection } from '../http/failures.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'

const RESUMPTIONS = 5
const FIRST_PAUSE_MS = 200

/**
 * The bytes at an address, as many as the file has.
 * @throws TransientError when it does not exist, has another length, changes while it is read, or the
 * connection breaks too often.
 */
export async function* readBytes(
  http: TapeHttp,
  at: { readonly url: string; readonly file: TapeFile },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { file } = at
  let offset = 0
  let etag: string | null = null
  for (let attempt = 0; ; attempt += 1) {
    const answer = await open(http, at, offset, etag, signal)
    etag ??= strongEtag(answer)
    try {
      for await (const chunk of answer.body) {
        offset += chunk.length
        if (offset > file.sizeBytes) throw wrongLength(file, `more than ${file.sizeBytes}`)
        yield chunk
      }
      if (offset === file.sizeBytes) return
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof TransientError || attempt >= RESUMPTIONS) throw asTransient(answer, file, error)
    } finally {
      answer.body.destroy()
    }
    if (attempt >= RESUMPTIONS) throw wrongLength(file, String(offset))
    await sleep(FIRST_PAUSE_MS * 2 ** attempt, undefined, { signal })
  }
}

const wrongLength = (file: TapeFile, bytes: string) =>
  new TransientError(`the endpoint gave ${bytes} bytes of ${file.name} instead of ${file.sizeBytes}`, {
    sizeBytes: file.sizeBytes,
  })

const asTransient = (answer: Answer, file: TapeFile, error: unknown) =>
  error instanceof TransientError
    ? error
    : lostConnection(answer.url.host, `the bytes of ${file.name}`, error)

const strongEtag = (answer: Answer) => {
  const etag = answer.header('etag')
  return etag === null || etag.startsWith('W/') ? null : etag
}

/**
 * From the start a plain GET; afterwards a range with both ends (XRootD 5.5 misinterprets an open one), on
 * condition that the ETag is the same.
 */
async function open(
  http: TapeHttp,
  { url, file }: { readonly url: string; readonly file: TapeFile },
  offset: number,
  etag: string | null,
  signal: AbortSignal,
): Promise<Answer> {
  const what = `the bytes of ${file.name}`
  const headers = {
    ...(offset === 0 ? {} : { Range: `bytes=${offset}-${file.sizeBytes - 1}` }),
    ...(offset === 0 || etag === null ? {} : { 'If-Match': etag }),
  }
  const answer = await http.request({ method: 'GET', url, what, headers }, signal)
  const { host } = answer.url
  if (answer.status === 412) {
    await discard(answer)
    throw new TransientError(`${file.name} changed at ${host} while it was read`)
  }
  if (offset === 0) {
    if (answer.status !== 200) throw await refusal(answer, what)
    return answer
  }
  if (answer.status !== 206) throw await refusal(answer, `${what} from byte ${offset}`)
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '')
  if (
    range === null ||
    Number(range[1]) !== offset ||
    (range[2] !== '*' && Number(range[2]) !== file.sizeBytes)
  ) {
    answer.body.destroy()
    throw new TransientError(`${host} returned another part of ${file.name} than requested`, { offset })
  }
  return answer
}
