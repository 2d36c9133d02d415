/** Removes our temporary files. */
import { refusal } from './answers.ts'
import type { Endpoint } from './endpoint.ts'
import { discard, type TapeHttp } from './http.ts'

const TIDY_MS = 10_000

/** Removes one of our temporary files. @throws TransientError when the endpoint refuses. */
export async function remove(http: TapeHttp, url: string, signal: AbortSignal): Promise<void> {
  const what = 'removing the temporary file of an earlier attempt'
  const answer = await http.request({ method: 'DELETE', url, what }, signal)
  if (![200, 202, 204, 404, 410].includes(answer.status)) throw await refusal(answer, what)
  await discard(answer)
}

/**
 * The same after a failure, also when the copy was aborted. What cannot be removed is replaced by the next
 * attempt.
 */
export async function tidy({ http, log }: Pick<Endpoint, 'http' | 'log'>, url: string): Promise<void> {
  await remove(http, url, AbortSignal.timeout(TIDY_MS)).catch((error: unknown) =>
    log?.info({ error }, 'tape-temporary-left'),
  )
}
