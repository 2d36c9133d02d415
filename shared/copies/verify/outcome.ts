/** What a finding changes: the copy's row, the run's history and the alert. Pure. */

import type { ReplicaOutcome } from '../../catalogue/replica-work.ts'
import { tapeCopyTask } from '../../catalogue/replicas.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { Request } from '../../work/outbox.ts'
import { followTask } from '../../work/tasks.ts'
import { nameOf, replicaAlert } from '../tape/alerts.ts'
import type { Finding } from './check-twice.ts'
import { type OtherCopies, searchAdvice } from './other-copies.ts'

/** The history gets a line only when the state changes. */
export function outcomeOf(
  replica: Replica,
  finding: Finding,
  at: Date,
): Pick<ReplicaOutcome, 'change' | 'note' | 'also'> {
  switch (finding.kind) {
    case 'verified': {
      const state = replica.kind !== 'tape' ? 'present' : finding.onMedia ? 'on-media' : 'staged'
      const verified = {
        verifiedAt: at,
        verifiedBy: finding.by.slice(0, 255),
        checkedAt: at,
        lastError: null,
      }
      return {
        change: {
          ...verified,
          ...changedTo(replica, state),
        },
        // From the disk buffer the copy is followed to the medium.
        ...(state === 'staged' ? { also: (trx) => followTask(trx, tapeCopyTask(replica), at) } : {}),
        note:
          replica.state === state
            ? null
            : {
                what: HISTORY_TEXT[state],
                detail: `${replica.url}: was ${replica.state}, verified by ${finding.by}`,
              },
      }
    }
    case 'missing':
      return badCopyOutcome(replica, 'missing', 'it was missing in two checks', at)
    case 'suspicious':
      return badCopyOutcome(replica, 'suspicious', finding.reason, at)
    case 'unknown':
      return { change: { checkedAt: at, lastError: finding.reason }, note: null }
  }
}

const HISTORY_TEXT = {
  present: 'copy verified again',
  'on-media': 'on tape',
  staged: "on the endpoint's disk buffer",
} as const

const changedTo = (replica: Replica, state: ReplicaState) => (replica.state === state ? {} : { state })

function badCopyOutcome(replica: Replica, state: 'missing' | 'suspicious', detail: string, at: Date) {
  return {
    change: { checkedAt: at, lastError: detail, ...changedTo(replica, state) },
    note: replica.state === state ? null : { what: `copy ${state}`, detail: `${replica.url}: ${detail}` },
  }
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
