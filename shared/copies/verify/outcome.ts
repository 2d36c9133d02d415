/**
 * What was seen of a copy, as its row, its run's history and the people who should hear of it get it: pure.
 */

import type { ReplicaOutcome } from '../../catalogue/replica-work.ts'
import { tapeCopyTask } from '../../catalogue/replicas.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { Request } from '../../work/outbox.ts'
import { followTask } from '../../work/tasks.ts'
import { nameOf, replicaAlert } from '../tape/alerts.ts'
import type { Seen } from './look.ts'
import { type OtherCopies, whereToLook } from './other-copies.ts'

/** A line of the history tells of changes only: what is verified once more is in the row. */
export function seenOutcome(
  replica: Replica,
  seen: Seen,
  at: Date,
): Pick<ReplicaOutcome, 'change' | 'note' | 'also'> {
  switch (seen.state) {
    case 'verified': {
      const state = replica.kind !== 'tape' ? 'present' : seen.onMedia ? 'on-media' : 'staged'
      const verified = {
        verifiedAt: at,
        verifiedBy: seen.by.slice(0, 255),
        checkedAt: at,
        lastError: null,
      }
      return {
        change: {
          ...verified,
          ...changedTo(replica, state),
        },
        // From the disk buffer it is followed to the medium.
        ...(state === 'staged' ? { also: (trx) => followTask(trx, tapeCopyTask(replica), at) } : {}),
        note:
          replica.state === state
            ? null
            : { what: WORDS[state], detail: `${replica.url}: was ${replica.state}, verified by ${seen.by}` },
      }
    }
    case 'missing':
      return badNews(replica, 'missing', 'it was not there at two looks', at)
    case 'suspicious':
      return badNews(replica, 'suspicious', seen.detail, at)
    case 'unknown':
      return { change: { checkedAt: at, lastError: seen.detail }, note: null }
  }
}

const WORDS = {
  present: 'copy verified again',
  'on-media': 'on tape',
  staged: "on the endpoint's disk buffer",
} as const

const changedTo = (replica: Replica, state: ReplicaState) => (replica.state === state ? {} : { state })

function badNews(replica: Replica, state: 'missing' | 'suspicious', detail: string, at: Date) {
  return {
    change: { checkedAt: at, lastError: detail, ...changedTo(replica, state) },
    note: replica.state === state ? null : { what: `copy ${state}`, detail: `${replica.url}: ${detail}` },
  }
}

/**
 * The alert for a copy that is missing or suspicious; once for each time that it was good before.
 * @param others what else there is of the same contents.
 */
export function doubtAlert(
  replica: Replica,
  seen: Extract<Seen, { state: 'missing' | 'suspicious' }>,
  others: OtherCopies,
): Request {
  const what = seen.state === 'missing' ? 'is missing' : `is suspicious (${seen.detail})`
  const about = `${nameOf(replica)}: ${replica.url} ${what}`
  const again = replica.verifiedAt?.toISOString() ?? 'never'
  if (others.verified.length === 0) {
    const verify = `cygnet verify --run ${replica.runNumber} --tag ${replica.tag}`
    const summary = `${about}, and no other verified copy is known. Delete nothing of this run anywhere: ${whereToLook(others)} and push it again, have the place looked at, then run \`${verify}\``
    return replicaAlert(replica, 'last-copy-in-danger', 'page', summary, again)
  }
  return replicaAlert(
    replica,
    `copy-${seen.state}`,
    'error',
    `${about}; ${wayOut(replica, others.verified)}`,
    again,
  )
}

function wayOut(replica: Replica, others: readonly Replica[]): string {
  const other = others.find(({ kind }) => kind === (replica.kind === 'tape' ? 'cloud' : 'tape')) ?? others[0]
  const there = `${other?.url} was verified ${other?.verifiedAt?.toISOString() ?? ''}`
  if (other?.kind === 'tape')
    return `${there}: \`cygnet recall ${replica.runNumber} --tag ${replica.tag}\` brings the run back from tape; keep that copy`
  return replica.kind === 'tape'
    ? `${there}: keep it until a new copy on tape is verified`
    : `${there}: keep it`
}
