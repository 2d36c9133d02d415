/** Delays and counts refused requests of a client that repeats them: see shared/runtime/refusals.ts. */
import type { MiddlewareHandler } from 'hono'
import type { Logger } from '../../../shared/log.ts'
import { createRefusals } from '../../../shared/runtime/refusals.ts'
import type { AddressOf } from '../access/client-address.ts'
import type { ApiEnvironment } from './route.ts'

const REFUSED: Readonly<Record<number, string>> = {
  401: 'no valid token or session',
  403: 'without the right',
  429: 'too many requests',
}
/** Each minute, of an address: these happen to people. */
const TOLERATED = 20

/** Where the host provides no address, nothing is held. */
export function holdRefusals(addressOf: AddressOf, log: Logger): MiddlewareHandler<ApiEnvironment> {
  const refusals = createRefusals({ log, tolerated: TOLERATED })
  return async (c, next) => {
    await next()
    const reason = REFUSED[c.res.status]
    const source = addressOf(c)
    if (reason === undefined || source === null) return
    await refusals.hold({ event: 'requests-refused', source, reason }, c.env)
  }
}
