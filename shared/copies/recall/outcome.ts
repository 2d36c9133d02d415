/**
 * What a step of a recall means for its row, its run's history and the people who should hear of it: pure.
 */

import type { ReplicaOutcome } from '../../catalogue/replica-work.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { type Failure, InvalidInputError } from '../../errors.ts'
import type { ObjectDescription } from '../../storage/objects.ts'
import { nextLookAt, retryAt } from '../../work/back-off.ts'
import { nameOf, replicaAlert } from '../tape/alerts.ts'
import { objectReference, stageReference, stageReferenceOf } from './reference.ts'

/** Damage on the way passes; what is wrong after so many readings is wrong at the endpoint. */
const WRONG_READINGS = 3

/** When a recall that was asked for then has taken too long. */
export const deadlineOf = (recall: Replica, hours: number): Date =>
  new Date(recall.requestedAt.getTime() + hours * 3_600_000)

const notAfter = (time: Date, deadline: Date): Date => (time < deadline ? time : deadline)

/** The object was verified in the store; when it leaves again is reckoned from now. */
export function presentOutcome(
  recall: Replica,
  seen: { readonly object: ObjectDescription | null; readonly by: string; readonly how: string },
  at: Date,
): ReplicaOutcome {
  const { object, by, how } = seen
  const wishedMs = (recall.expiresAt ?? recall.requestedAt).getTime() - recall.requestedAt.getTime()
  const until = new Date(at.getTime() + Math.max(0, wishedMs))
  return {
    change: {
      state: 'present',
      storedAt: object?.lastModified ?? at,
      verifiedAt: at,
      verifiedBy: by.slice(0, 255),
      checkedAt: at,
      attempts: 0,
      nextAttemptAt: null,
      lastError: null,
      reference: object === null ? null : objectReference(object.etag),
    },
    note: { what: 'back in the store', detail: `${recall.url}, ${how}, verified: ${by}` },
    // Not in `change`: whoever asked again meanwhile for longer keeps what was promised.
    also: async (trx) => {
      await trx
        .updateTable('replicas')
        .set({ expiresAt: until })
        .where('id', '=', recall.id)
        .where((where) => where.or([where('expiresAt', 'is', null), where('expiresAt', '<', until)]))
        .execute()
    },
  }
}

/** The endpoint is bringing it from the medium. */
export function stagingOutcome(
  recall: Replica,
  staging: { readonly reference: string; readonly detail: string },
  deadline: Date,
  at: Date,
): ReplicaOutcome {
  const isNews = recall.state !== 'staging' || stageReferenceOf(recall) !== staging.reference
  return {
    change: {
      state: 'staging',
      reference: stageReference(staging.reference),
      lastError: null,
      checkedAt: at,
      nextAttemptAt: notAfter(nextLookAt(at, recall.requestedAt), deadline),
    },
    note:
      isNews && recall.state !== 'staging'
        ? { what: 'being staged from tape', detail: staging.detail }
        : null,
  }
}

/** Nothing can be done just now, and nothing went wrong. */
export const waitingOutcome = (reason: string, at: Date): ReplicaOutcome => ({
  change: { lastError: reason, nextAttemptAt: nextLookAt(at, null) },
})

/** It failed: tried again when that may help and there is time, else told. */
export function failedOutcome(
  recall: Replica,
  error: Failure,
  reason: string,
  deadline: Date,
  at: Date,
): ReplicaOutcome {
  const attempts = recall.attempts + 1
  if (error instanceof InvalidInputError) return givenUpOutcome(recall, reason, at)
  if (error.details.wrongBytes === true && attempts >= WRONG_READINGS)
    return givenUpOutcome(recall, `${reason} (read ${attempts} times)`, at)
  if (at >= deadline) return givenUpOutcome(recall, `it was not done in time: ${reason}`, at)
  return {
    change: {
      state: 'failed',
      attempts,
      lastError: reason,
      checkedAt: at,
      nextAttemptAt: notAfter(retryAt(at, attempts), deadline),
    },
    note: attempts === 1 ? { what: 'recall failed, tried again', detail: reason } : null,
  }
}

/** The end of it, until somebody asks again. */
function givenUpOutcome(recall: Replica, reason: string, at: Date): ReplicaOutcome {
  return {
    change: {
      state: 'failed',
      attempts: recall.attempts + 1,
      lastError: reason,
      checkedAt: at,
      nextAttemptAt: null,
      reference: null,
    },
    note: { what: 'recall failed', detail: reason },
    requests: [
      replicaAlert(
        recall,
        'recall-failed',
        'error',
        `${nameOf(recall)} was not brought back from tape: ${reason}`,
        String(recall.generation),
      ),
    ],
  }
}

/**
 * The function was stopped from outside: no failure of the recall, and the row should not wait for the end of
 * its lease.
 */
export const interruptedOutcome = (recall: Replica): ReplicaOutcome => ({
  change: {
    state: recall.state === 'staging' ? 'staging' : 'requested',
    nextAttemptAt: null,
    lastError: 'the function was stopped',
  },
})
