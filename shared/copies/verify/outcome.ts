/** What a finding changes: the copy's row and the run's history. Pure. */

import type { Transaction } from 'kysely'
import { comparesContent, type Finding as Evidenced, weigh } from '../../catalogue/evidence.ts'
import { UNPROVEN } from '../../catalogue/replica-states.ts'
import type { ReplicaChange, ReplicaOutcome } from '../../catalogue/replica-work.ts'
import { tapeCopyTask } from '../../catalogue/replicas.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import { followTask } from '../../work/tasks.ts'
import type { Finding } from './check-twice.ts'

type Trx = Transaction<Schema>

/** The history gets a line only when the state changes. */
export function outcomeOf(
  replica: Replica,
  finding: Finding,
  at: Date,
): Pick<ReplicaOutcome, 'change' | 'note' | 'also'> {
  if (finding.kind === 'unknown') return { change: { checkedAt: at, lastError: finding.reason }, note: null }
  if (finding.kind === 'unproven') {
    // The row keeps its state, and the reason of a doubt.
    const reason = replica.doubtedEvidence === null ? { lastError: UNPROVEN + finding.reason } : {}
    return { change: { checkedAt: at, ...reason }, note: null }
  }
  const change = weigh(replica, weighable(finding), at)
  const { state, lastError: error } = change
  if (state === undefined) return { change, note: null }
  // From the disk buffer the copy is followed to the medium.
  const also = state === 'staged' ? { also: (trx: Trx) => followTask(trx, tapeCopyTask(replica), at) } : {}
  const detail = error == null ? `was ${replica.state}, verified by ${change.verifiedBy}` : error
  return {
    change,
    ...also,
    note: { what: HISTORY_TEXT[state] ?? `copy ${state}`, detail: `${replica.url}: ${detail}` },
  }
}

const HISTORY_TEXT: Partial<Record<ReplicaState, string>> = {
  present: 'copy verified again',
  'on-media': 'on tape',
  staged: "on the endpoint's disk buffer",
}

const MISSING = 'it was missing in two checks'

function weighable(finding: Exclude<Finding, { kind: 'unknown' | 'unproven' }>): Evidenced {
  const { evidence } = finding
  switch (finding.kind) {
    case 'verified':
      return { result: 'agrees', evidence, by: finding.by, onMedia: finding.onMedia }
    case 'missing':
      return { result: 'absent', evidence, reason: MISSING }
    case 'suspicious':
      return { result: 'differs', evidence, reason: finding.reason }
  }
}

/**
 * The finding as the row now states it: a checksum that agrees does not make a copy verified that a read found
 * wrong.
 */
export function shownFinding(replica: Replica, finding: Finding, change: ReplicaChange): Finding {
  const contradicts = finding.kind === 'missing' || finding.kind === 'suspicious'
  if (contradicts && change.doubtedEvidence == null)
    return { kind: 'unknown', reason: `the copy is not made yet: ${detailOf(finding)}` }
  if (finding.kind !== 'verified') return finding
  if (change.lastError != null) {
    const state = change.state ?? replica.state
    return state === 'suspicious'
      ? { kind: state, evidence: finding.evidence, reason: change.lastError }
      : { kind: 'unknown', reason: change.lastError }
  }
  return comparesContent(finding.evidence)
    ? finding
    : { kind: 'unknown', reason: `only stated, not verified: ${finding.by}` }
}

export function detailOf(finding: Finding): string {
  if (finding.kind === 'verified') return finding.by
  return finding.kind === 'missing' ? MISSING : finding.reason
}
