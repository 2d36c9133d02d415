/** Names one piece of work in a lease: a process may be at several at once, and each holds its own. */
import { randomUUID } from 'node:crypto'

/** What the columns hold besides the end, which tells them apart. */
const LONGEST_PROCESS = 80

export const claimOwner = ({ owner }: { readonly owner: string }): string =>
  `${owner.slice(0, LONGEST_PROCESS)}-${randomUUID().slice(0, 8)}`
