/** Where the contents of a file are available according to the catalogue's rows. Pure. */
import { replaceRotten } from '../../catalogue/replica-alerts.ts'
import { READABLE_ON_TAPE, RECALLING } from '../../catalogue/replica-states.ts'
import type { Replica, ShownRecall } from '../../database/replica-schema.ts'

export type ContentLocation =
  | { readonly kind: 'in-store'; readonly cloud: Replica }
  /** Not in the store, or about to leave it, and verified at the tape endpoint. */
  | { readonly kind: 'on-tape'; readonly copy: Replica }
  | { readonly kind: 'unavailable'; readonly reason: string }

/**
 * @param replicas all replicas of the same contents. @param isMissing the object was checked and is not in
 * the store, whatever its row states.
 */
export function locateContent(replicas: readonly Replica[], isMissing = false): ContentLocation {
  const cloud = replicas.find((replica) => replica.kind === 'cloud')
  if (cloud?.state === 'present' && !isMissing) return { kind: 'in-store', cloud }
  const tapes = replicas.filter((replica) => replica.kind === 'tape')
  const copy = tapeCopyOf(replicas)
  if (cloud?.state === 'suspicious' && !isMissing) {
    const way = copy === null ? '' : `: ${replaceRotten(cloud)}`
    return {
      kind: 'unavailable',
      reason: `the object in the store is suspicious (${cloud.lastError ?? 'no reason known'}) and is not overwritten${way}`,
    }
  }
  if (copy !== null) return { kind: 'on-tape', copy }
  const tape =
    tapes.length === 0
      ? 'it was never copied to tape'
      : `its copy on tape is ${tapes.map((replica) => replica.state).join(', ')}`
  return { kind: 'unavailable', reason: `it is not in the store, and ${tape}` }
}

/**
 * A verified copy on tape, of the given endpoint only if one is given. A copy on the medium is preferred to
 * one on a disk buffer.
 */
export function tapeCopyOf(replicas: readonly Replica[], endpoint?: string): Replica | null {
  const copies = replicas.filter(
    (replica) =>
      replica.kind === 'tape' &&
      READABLE_ON_TAPE.includes(replica.state) &&
      (endpoint === undefined || replica.endpoint === endpoint),
  )
  return copies.find((copy) => copy.state === 'on-media') ?? copies[0] ?? null
}

/** In progress, or waiting for its next automatic attempt. */
export const isRecalling = (recall: Pick<ShownRecall, 'state' | 'nextAttemptAt'>): boolean =>
  RECALLING.includes(recall.state) || (recall.state === 'failed' && recall.nextAttemptAt !== null)

/**
 * Whether a recall has brought the contents back into the store, and the row of the cloud replica does not
 * show it yet because it was last checked before.
 */
export const isBackInStore = (recall: ShownRecall | undefined, cloud: Replica | undefined): boolean =>
  recall?.state === 'present' && (cloud?.checkedAt?.getTime() ?? 0) <= (recall.verifiedAt?.getTime() ?? 0)

/** How to get a file that is on tape. @param isLost the store lost it: it was not deleted on purpose. */
export const onTapeHint = (isLost: boolean): string =>
  `${isLost ? 'the store has lost it: a copy is on tape' : 'it is only on tape'}; request a recall to bring it back into the store`
