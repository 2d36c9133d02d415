/** Whether "there is no such file" is the answer of the endpoint, or of something else in its place. */
import { TransientError } from '../../errors.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import type { Places } from './places.ts'

/**
 * Called before a file counts as missing: a proxy without its backend, or an endpoint that was moved, answers
 * 404 for every address. An endpoint that does not let us list its root (403, 405 …) is there.
 * @throws TransientError when the root does not exist either, or that cannot be determined.
 */
export async function assertRootExists(
  { http, places }: { readonly http: TapeHttp; readonly places: Places },
  signal: AbortSignal,
): Promise<void> {
  const what = 'the root of the copies'
  const answer = await http.request(
    { method: 'PROPFIND', url: places.root.href, what, headers: { Depth: '0' } },
    signal,
  )
  const { status } = answer
  if (status === 404 || status === 410) {
    await discard(answer)
    throw new TransientError(`the root ${places.root.href} does not exist`, { operator: true })
  }
  if (status === 401 || status === 429 || status >= 500) throw await refusal(answer, what)
  await discard(answer)
}
