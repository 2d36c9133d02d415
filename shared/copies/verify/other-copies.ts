/** What else there is of the same contents when a copy turns out to be bad. */

import { ON_DISK, VERIFIED } from '../../catalogue/replica-states.ts'
import { contentOf, type Executor, replicasOfContent } from '../../catalogue/replicas.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { timeText } from '../../time/text.ts'

export interface OtherCopies {
  /** Verified, at a place that Cygnet looks at itself: they make one bad copy less than a loss. */
  readonly verified: readonly Replica[]
  /**
   * On the disk of the DAQ, where its own program saw them. Nobody notices from here when such a file is
   * removed: it is where people should look, and no reason to keep quiet.
   */
  readonly onDisk: readonly Replica[]
}

export async function otherCopies(executor: Executor, replica: Replica): Promise<OtherCopies> {
  const others = (await replicasOfContent(executor, contentOf(replica))).filter(
    (copy) => copy.id !== replica.id,
  )
  return {
    verified: others.filter(
      (copy) => copy.kind !== 'local' && VERIFIED.includes(copy.state) && copy.verifiedAt !== null,
    ),
    onDisk: others.filter((copy) => copy.kind === 'local' && ON_DISK.includes(copy.state)),
  }
}

/** Where people look for the file: the last place where it was seen, when there is one. */
export function whereToLook({ onDisk }: OtherCopies): string {
  const [seen] = onDisk.toSorted((a, b) => (b.verifiedAt?.getTime() ?? 0) - (a.verifiedAt?.getTime() ?? 0))
  if (seen === undefined) return "look for the file on the DAQ's disk"
  const when = seen.verifiedAt === null ? '' : ` ${timeText(seen.verifiedAt)} UTC`
  return `look for the file on the DAQ's disk (${seen.name} on ${seen.endpoint}: it was seen there last${when} and may be gone since)`
}
