/** Whether "there is no such file" is the answer of the endpoint, or of something else in its place. */
import { TransientError } from '../../errors.ts'
import type { TapeHttp } from './http.ts'
import type { Places } from './places.ts'
import { findProperties } from './properties.ts'

interface At {
  readonly http: TapeHttp
  readonly places: Places
}

/**
 * Called before anything counts as missing: a proxy without its backend, a plain web server or an endpoint that
 * was moved answers 404, 405 or a page for every address. Only an endpoint that describes the root of the copies
 * as a folder is the one that has, or has not, our files.
 * @throws TransientError otherwise. An operator has to act, unless the server cannot be reached or is busy.
 */
export async function assertRootExists({ http, places }: At, signal: AbortSignal): Promise<void> {
  const { root } = places
  const found = await findProperties(http, root.href, 0, signal).catch((error: unknown) => {
    if (!(error instanceof TransientError) || isOutage(error)) throw error
    throw new TransientError(
      `whether ${root.host} is the tape endpoint is not known: ${error.message}`,
      { operator: true, ...error.details },
      { cause: error },
    )
  })
  if (found === null) throw new TransientError(`the root ${root.href} does not exist`, { operator: true })
  if (!found.some(({ segment, isFolder }) => segment === '' && isFolder))
    throw new TransientError(`${root.host} does not describe ${root.href} as a folder`, { operator: true })
}

function isOutage({ details }: TransientError): boolean {
  const { error, httpStatus } = details
  return error !== undefined || httpStatus === 429 || Number(httpStatus ?? 0) >= 500
}
