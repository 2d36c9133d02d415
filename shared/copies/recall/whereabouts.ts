/** Where the contents of a file can be had, by the catalogue's rows: pure. */
import { READABLE_ON_TAPE, RECALLING } from '../../catalogue/replica-states.ts'
import type { Replica, ShownRecall } from '../../database/replica-schema.ts'

export type Whereabouts =
  | { readonly kind: 'in-store'; readonly cloud: Replica }
  /** Not in the store, or about to leave it, and verified at the tape endpoint. */
  | { readonly kind: 'on-tape'; readonly copy: Replica }
  | { readonly kind: 'nowhere'; readonly why: string }

/**
 * @param replicas all of the same contents. @param gone the object was looked for and is not in the store,
 * whatever its row says.
 */
export function whereaboutsOf(replicas: readonly Replica[], gone = false): Whereabouts {
  const cloud = replicas.find((replica) => replica.kind === 'cloud')
  if (cloud?.state === 'present' && !gone) return { kind: 'in-store', cloud }
  if (cloud?.state === 'suspicious' && !gone)
    return {
      kind: 'nowhere',
      why: `the object in the store is suspicious (${cloud.lastError ?? 'no reason known'}) and is not overwritten`,
    }
  const tapes = replicas.filter((replica) => replica.kind === 'tape')
  const copy = tapeCopyOf(replicas)
  if (copy !== null) return { kind: 'on-tape', copy }
  const tape =
    tapes.length === 0
      ? 'it was never copied to tape'
      : `its copy on tape is ${tapes.map((replica) => replica.state).join(', ')}`
  return { kind: 'nowhere', why: `it is not in the store, and ${tape}` }
}

/**
 * The verified copy at a tape endpoint, at this one when it is named: one on the medium rather than one on a
 * disk buffer.
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

/** Under way, or tried again later by itself. */
export const isRecalling = (recall: Pick<ShownRecall, 'state' | 'nextAttemptAt'>): boolean =>
  RECALLING.includes(recall.state) || (recall.state === 'failed' && recall.nextAttemptAt !== null)

/**
 * Whether the contents are in the store because they were brought back, which their copy there does not say
 * yet: it was looked at before.
 */
export const isBackInStore = (recall: ShownRecall | undefined, cloud: Replica | undefined): boolean =>
  recall?.state === 'present' && (cloud?.checkedAt?.getTime() ?? 0) <= (recall.verifiedAt?.getTime() ?? 0)

/** What to do about a file that is on tape. @param isLost nobody meant it to leave the store. */
export const onTapeText = (isLost: boolean): string =>
  `${isLost ? 'the store has lost it: a copy is on tape' : 'it is only on tape'}; ask for it with a recall, and it is in the store some time later`
