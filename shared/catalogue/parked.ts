/**
 * Notifications that could not be understood: kept for people, once however often a store repeats them, and
 * alerted.
 */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Database } from '../database/connect.ts'
import { cutText } from '../text.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'

/** A longer body is cut, which `reason` states. */
const MAX_BODY_CHARACTERS = 1_000_000

/** Keeps `body` and writes an alert about it into the outbox. @returns the alert, to be sent. */
export async function parkNotification(
  database: Database,
  body: string,
  reason: string,
  at: Date,
): Promise<Request> {
  const digest = createHash('sha256').update(body).digest()
  const cut = body.length > MAX_BODY_CHARACTERS
  await database
    .insertInto('parkedNotifications')
    .values({
      receivedAt: at,
      reason: cut ? `${reason} (cut from ${body.length} characters)` : reason,
      body: cutText(body, MAX_BODY_CHARACTERS),
      digest,
    })
    .onDuplicateKeyUpdate({ times: sql`times + 1` })
    .execute()
  const { id } = await database
    .selectFrom('parkedNotifications')
    .select('id')
    .where('digest', '=', digest)
    .executeTakeFirstOrThrow()
  const parked = alert({
    rule: 'parked-notification',
    severity: 'warning',
    subject: `p${id}`,
    summary: `a notification could not be understood and was kept: ${reason}`,
    cause: digest.toString('hex'),
  })
  await addRequests(database, [parked], at)
  return parked
}

export async function listParked(database: Database, limit: number) {
  return await database
    .selectFrom('parkedNotifications')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}
