/** What a finding changes: the copy's row, the run's history and the alert. Pure. */

import type { Transaction } from 'kysely'
import { comparesContent, type Finding as Evidenced, weigh } from '../../catalogue/evidence.ts'
import { UNPROVEN } from '../../catalogue/replica-states.ts'
import type { ReplicaChange, ReplicaOutcome } from '../../catalogue/replica-work.ts'
import { tapeCopyTask } from '../../catalogue/replicas.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { Schema } from '../../database/schema.ts'
import type { Request } from '../../work/outbox.ts'
import { followTask } from '../../work/tasks.ts'
import { nameOf, replicaAlert } from '../tape/alerts.ts'
import type { Finding } from './check-twice.ts'
import { type OtherCopies, searchAdvice } from './other-copies.ts'

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

/**
 * The alert for a copy that is missing or suspicious, once for each time that it was verified before.
 * @param others the other copies of the same contents.
 */
export function badCopyAlert(
  replica: Replica,
  finding: Extract<Finding, { kind: 'missing' | 'suspicious' }>,
  others: OtherCopies,
): Request {
  const what = finding.kind === 'missing' ? 'is missing' : `is suspicious (${finding.reason})`
  const about = `${nameOf(replica)}: ${replica.url} ${what}`
  const episode = replica.verifiedAt?.toISOString() ?? 'never'
  if (others.verified.length === 0) {
    const verify = `cygnet verify --run ${replica.runNumber} --tag ${replica.tag}`
    const summary = `${about}, and no other verified copy is known. Delete nothing of this run anywhere: ${searchAdvice(others)} and push it again, have the place inspected, then run \`${verify}\``
    return replicaAlert(replica, 'last-copy-in-danger', 'page', summary, episode)
  }
  return replicaAlert(
    replica,
    `copy-${finding.kind}`,
    'error',
    `${about}; ${remedy(replica, others.verified)}`,
    episode,
  )
}

function remedy(replica: Replica, others: readonly Replica[]): string {
  const other = others.find(({ kind }) => kind === (replica.kind === 'tape' ? 'cloud' : 'tape')) ?? others[0]
  const there = `${other?.url} was verified ${other?.verifiedAt?.toISOString() ?? ''}`
  if (other?.kind === 'tape')
    return `${there}: \`cygnet recall ${replica.runNumber} --tag ${replica.tag}\` brings the run back from tape; keep that copy`
  return replica.kind === 'tape'
    ? `${there}: keep it until a new copy on tape is verified`
    : `${there}: keep it`
}
