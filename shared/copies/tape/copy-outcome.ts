/**
 * What a step of a copy to tape means for its row, its run's history and the people who should hear of it:
 * pure.
 */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { ReplicaOutcome } from '../../catalogue/replica-work.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { AlertRule, SeverityOf } from '../../messages/alert-rules.ts'
import type { CopyResult, TapeLook } from '../../tape/driver.ts'
import { tapeNameBeside } from '../../tape/names.ts'
import { nextLookAt, retryAt } from '../../work/back-off.ts'
import type { Request } from '../../work/outbox.ts'
import { type OtherCopies, whereToLook } from '../verify/other-copies.ts'

/** After so many tries in vain people are told; it goes on being tried all the same. */
const TRIES_BEFORE_TOLD = 6

type Stored =
  | Extract<CopyResult, { kind: 'stored' }>
  | (Extract<TapeLook, { state: 'present' }> & { readonly how: 'found' })

/** Its checksum was compared at the endpoint. */
export function storedOutcome(replica: Replica, copy: Stored, at: Date): ReplicaOutcome {
  const { verifiedBy, onMedia, how } = copy
  const through =
    how === 'streamed' ? 'streamed' : how === 'third-party' ? 'fetched by the endpoint itself' : 'found there'
  const where = onMedia ? 'on tape' : "on the endpoint's disk buffer"
  const news = replica.state !== 'staged' || onMedia
  return {
    change: {
      state: onMedia ? 'on-media' : 'staged',
      storedAt: replica.storedAt ?? at,
      verifiedAt: at,
      verifiedBy: verifiedBy.slice(0, 255),
      checkedAt: at,
      lastError: null,
      nextAttemptAt: onMedia ? null : nextLookAt(at, replica.storedAt),
      ...(onMedia ? { attempts: 0 } : {}),
    },
    note: news ? { what: where, detail: `${replica.url}, ${through}, verified: ${verifiedBy}` } : null,
  }
}

/** A service is at work on it. */
export function submittedOutcome(replica: Replica, reference: string, at: Date): ReplicaOutcome {
  const known = replica.reference === reference
  return {
    change: {
      state: 'submitted',
      reference,
      checkedAt: at,
      nextAttemptAt: nextLookAt(at, known ? replica.startedAt : null),
      lastError: null,
    },
    note: known ? null : { what: 'copy to tape submitted', detail: `${replica.endpoint}, ${reference}` },
  }
}

/** Another function is just writing it, without a service: looked at again soon, which is no try. */
export const busyOutcome = (replica: Replica, detail: string, at: Date): ReplicaOutcome => ({
  change: {
    state: 'requested',
    lastError: detail,
    attempts: Math.max(0, replica.attempts - 1),
    nextAttemptAt: nextLookAt(at, null),
  },
})

/**
 * Tried in vain: again later, and told when it does not stop. `endedInVain`: the service's job is over, the
 * next is a new one.
 */
export function failedOutcome(
  replica: Replica,
  reason: string,
  at: Date,
  endedInVain = false,
): ReplicaOutcome {
  const told = replica.attempts >= TRIES_BEFORE_TOLD
  const summary = `${nameOf(replica)} has no copy on tape after ${replica.attempts} tries: ${reason}`
  return {
    change: {
      state: told ? 'failed' : 'requested',
      lastError: reason,
      checkedAt: at,
      nextAttemptAt: retryAt(at, replica.attempts),
      ...(endedInVain ? { reference: null, generation: replica.generation + 1 } : {}),
    },
    note:
      replica.attempts === 1 || told
        ? { what: 'copy to tape failed', detail: `try ${replica.attempts}: ${reason}` }
        : null,
    requests: told ? [replicaAlert(replica, 'tape-copy-fails', 'error', summary, wishOf(replica))] : [],
  }
}

/** Nothing more can be done by trying: the store does not hold these contents any more. */
export function sourceGoneOutcome(
  replica: Replica,
  detail: string,
  others: OtherCopies,
  at: Date,
): ReplicaOutcome {
  // What the rows say of the store is not what was just seen there.
  const otherCopy = others.verified.some(({ kind }) => kind === 'tape')
  const reason = `it cannot be copied: ${detail}`
  const summary = `${nameOf(replica)} (md5 ${replica.md5}) was not copied to tape in time: ${detail}${otherCopy ? '' : `; no verified copy of these contents is known, ${whereToLook(others)} and push it again`}`
  return {
    change: { state: 'failed', lastError: reason, checkedAt: at, nextAttemptAt: null },
    note: { what: 'copy to tape impossible', detail },
    requests: [
      replicaAlert(replica, 'tape-source-gone', otherCopy ? 'error' : 'page', summary, wishOf(replica)),
    ],
  }
}

/** Something else has the name: the copy goes beside it. Null when it has moved aside before. */
export function besideOutcome(
  replica: Replica,
  detail: string,
  url: (name: string) => string,
  at: Date,
): ReplicaOutcome | null {
  const name = tapeNameBeside({ bucket: replica.bucket, key: replica.objectKey }, replica.sha256)
  if (replica.name === name) return null
  return {
    change: {
      name,
      url: url(name),
      state: 'requested',
      attempts: 0,
      nextAttemptAt: null,
      lastError: detail,
      checkedAt: at,
    },
    note: {
      what: 'name on tape taken',
      detail: `${replica.url}: ${detail}; it stays, the copy goes to ${url(name)}`,
    },
    requests: [
      replicaAlert(
        replica,
        'tape-name-taken',
        'warning',
        `${replica.url} holds other contents than ${nameOf(replica)}; they stay, and the copy goes beside them`,
      ),
    ],
  }
}

export const nameOf = (replica: Pick<Replica, 'runNumber' | 'tag' | 'objectKey'>) =>
  `run ${replica.runNumber} of ${replica.tag} (${replica.objectKey})`

/** Tells the wish for a copy from one that was made again after the copy was lost: Unix seconds. */
export const wishOf = (replica: Replica): string => String(Math.floor(replica.requestedAt.getTime() / 1000))

/** One alert a rule and copy; `again` tells a later occurrence from the first. */
export function replicaAlert<Rule extends AlertRule>(
  replica: Replica,
  rule: Rule,
  severity: SeverityOf<Rule>,
  summary: string,
  again = '',
): Request {
  return alertRequest({
    rule,
    severity,
    summary,
    tag: replica.tag,
    runNumber: replica.runNumber,
    runId: replica.runId,
    object: { bucket: replica.bucket, key: replica.objectKey },
    occurrence: `${replica.identity.toString('hex').slice(0, 32)}${again === '' ? '' : `:${again}`}`,
  })
}
