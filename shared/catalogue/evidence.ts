/**
 * What a finding about a copy proves: the kinds of evidence, and the one function from a copy and a finding to
 * its new state (ADR 17). Pure.
 */
import type { CopyState, Evidence, Replica, ReplicaState } from '../database/replica-schema.ts'
import { INTACT, NOT_EXPECTED } from './replica-states.ts'

/** Weakest first. */
export const EVIDENCE: readonly Evidence[] = [
  'inference',
  'statement',
  'existence',
  'stored-checksum',
  'read',
]

export const isWeaker = (a: Evidence, b: Evidence): boolean => EVIDENCE.indexOf(a) < EVIDENCE.indexOf(b)

const strongest = (a: Evidence, b: Evidence | null): Evidence => (b === null || isWeaker(b, a) ? a : b)

/** Whether a checksum of the whole content was compared: less is no verification. */
export const comparesContent = (evidence: Evidence | null): boolean =>
  evidence === 'stored-checksum' || evidence === 'read'

/** One copy at one place, compared with the contents that the catalogue has for it. */
export type Finding =
  /** `onMedia`: for tape copies; false while it is only on the endpoint's disk buffer. */
  | { readonly result: 'agrees'; readonly evidence: Evidence; readonly by: string; readonly onMedia: boolean }
  /** `differs`: there, with other bytes. `absent`: not there. */
  | { readonly result: 'differs' | 'absent'; readonly evidence: Evidence; readonly reason: string }

/** What the row of a copy states. `state` null: there is no row yet. */
export type Standing = Pick<Replica, 'kind' | 'verifiedEvidence' | 'doubtedEvidence'> & {
  readonly state: CopyState | null
}

/** The columns that a finding changes. */
export interface Weighed {
  /** Left out where the state stays as it is. */
  readonly state?: ReplicaState
  readonly verifiedAt?: Date
  readonly verifiedBy?: string
  readonly verifiedEvidence?: Evidence
  readonly doubtedEvidence?: Evidence | null
  readonly checkedAt: Date
  /** Null when the copy is verified. */
  readonly lastError?: string | null
}

/**
 * A finding that contradicts the catalogue always counts, because a copy may be lost after any verification.
 * A finding that agrees counts only if it is as strong as what doubts the copy; a statement replaces no
 * comparison of checksums. Existence alone neither verifies nor clears.
 */
export function weigh(copy: Standing, finding: Finding, at: Date): Weighed {
  return finding.result === 'agrees' ? agreed(copy, finding, at) : contradicted(copy, finding, at)
}

function agreed(copy: Standing, finding: Extract<Finding, { result: 'agrees' }>, at: Date): Weighed {
  const { evidence, by, onMedia } = finding
  const { kind, state, doubtedEvidence: doubt } = copy
  if (doubt !== null && isWeaker(evidence, doubt)) {
    const isThere = comparesContent(evidence) && (state === 'missing' || isIntact(copy))
    return {
      ...(isThere ? { state: 'suspicious' as const } : {}),
      checkedAt: at,
      lastError: `${by}: this does not clear what ${FOUND_BY[doubt]} contradicts; only ${CLEARED_BY[doubt]} clears it`,
    }
  }
  const counts =
    comparesContent(evidence) ||
    (evidence === 'statement' &&
      kind !== 'cloud' &&
      !(isIntact(copy) && comparesContent(copy.verifiedEvidence)))
  if (!counts) return { checkedAt: at }
  const place = kind !== 'tape' ? 'present' : onMedia ? 'on-media' : 'staged'
  return {
    ...(state === place ? {} : { state: place }),
    verifiedAt: at,
    verifiedBy: by.slice(0, LONGEST_BY),
    verifiedEvidence: evidence,
    doubtedEvidence: null,
    checkedAt: at,
    lastError: null,
  }
}

const LONGEST_BY = 255

const FOUND_BY: Readonly<Record<Evidence, string>> = {
  inference: 'the absence of a report',
  statement: 'a statement',
  existence: 'its size or absence',
  'stored-checksum': 'a stored checksum',
  read: 'reading its bytes',
}
const CLEARED_BY: Readonly<Record<Evidence, string>> = {
  inference: 'a report',
  statement: 'a statement or a comparison of checksums',
  existence: 'a comparison of checksums',
  'stored-checksum': 'a comparison of checksums',
  read: 'reading',
}

function contradicted(
  copy: Standing,
  { result, evidence, reason }: Extract<Finding, { result: 'differs' | 'absent' }>,
  at: Date,
): Weighed {
  const { kind, state } = copy
  const isExpected = state === null || !NOT_EXPECTED.includes(state)
  // A conclusion only ends what is open.
  if (!isExpected || (evidence === 'inference' && state !== 'deleting')) return { checkedAt: at }
  // The DAQ's program reports another file in its place as the absence of the one that was there.
  const found = result === 'differs' && kind !== 'local' ? 'suspicious' : 'missing'
  return {
    ...(state === found ? {} : { state: found }),
    doubtedEvidence: strongest(evidence, copy.doubtedEvidence),
    checkedAt: at,
    lastError: reason,
  }
}

/** The columns of a copy that was found just now, whatever its row stated before: there may be none. */
export function weighNew(
  kind: Replica['kind'],
  finding: Finding,
  at: Date,
): Weighed & { readonly state: ReplicaState } {
  const unknown = { kind, state: null, verifiedEvidence: null, doubtedEvidence: null }
  const { state, ...columns } = weigh(unknown, finding, at)
  if (state === undefined) throw new Error(`evidence of the kind ${finding.evidence} makes no copy`)
  return { state, ...columns }
}

const isIntact = ({ state }: Standing) => state !== null && INTACT.includes(state)

/** The state of a copy whose deletion is withdrawn: as its evidence says, since nothing new was found. */
export const stateWithoutDeletion = ({ kind, doubtedEvidence }: Standing): ReplicaState =>
  doubtedEvidence === null ? 'present' : kind === 'local' ? 'missing' : 'suspicious'

/** Verified by a comparison of checksums, and contradicted by nothing since. */
export const isProven = (
  copy: Pick<Replica, 'verifiedAt' | 'verifiedEvidence' | 'doubtedEvidence'>,
): boolean =>
  copy.verifiedAt !== null && comparesContent(copy.verifiedEvidence) && copy.doubtedEvidence === null

/** Such a copy must be read: whatever else is compared clears nothing. */
export const mustBeRead = ({ doubtedEvidence }: Pick<Replica, 'doubtedEvidence'>): boolean =>
  doubtedEvidence === 'read'
