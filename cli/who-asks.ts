/** Who is at this machine, for the history of a run. */
import { hostname, userInfo } from 'node:os'

export const whoAsks = () => `${userInfo().username}@${hostname()}`
