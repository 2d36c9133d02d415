/** The other copies of the same contents, when a copy turns out to be bad. */

import type { Executor } from '../database/connect.ts'
import type { Replica } from '../database/replica-schema.ts'
import { timeText } from '../time/text.ts'
import { isProven } from './evidence.ts'
import { ON_DISK, VERIFIED } from './replica-states.ts'
import { contentOf, replicasOfContent } from './replicas.ts'

export interface OtherCopies {
  /** Verified, at a place that Cygnet checks itself: with one of them a bad copy is not a loss. */
  readonly verified: readonly Replica[]
  /**
   * On the disk of the DAQ, as reported by its own program. Cygnet does not notice when such a file is
   * removed, so it is a hint where to search and does not replace the alert.
   */
  readonly onDisk: readonly Replica[]
}

export async function otherCopies(executor: Executor, replica: Replica): Promise<OtherCopies> {
  const others = (await replicasOfContent(executor, contentOf(replica))).filter(
    (copy) => copy.id !== replica.id,
  )
  return {
    verified: others.filter(
      (copy) => copy.kind !== 'local' && VERIFIED.includes(copy.state) && isProven(copy),
    ),
    onDisk: others.filter((copy) => copy.kind === 'local' && ON_DISK.includes(copy.state)),
  }
}

/** Where people should search for the file: the last place where it was seen, if there is one. */
export function searchAdvice({ onDisk }: OtherCopies): string {
  const [seen] = onDisk.toSorted((a, b) => (b.verifiedAt?.getTime() ?? 0) - (a.verifiedAt?.getTime() ?? 0))
  if (seen === undefined) return "search for the file on the DAQ's disk"
  const when = seen.verifiedAt === null ? '' : ` ${timeText(seen.verifiedAt)} UTC`
  return `search for the file on the DAQ's disk (${seen.name} on ${seen.endpoint}: last seen there${when}, it may have been removed since)`
}
