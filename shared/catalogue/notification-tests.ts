/** Tests of notifications: a row for each test object, in which the functions note that its notification arrived. */
import type { Database } from '../database/connect.ts'
import { testIdOf } from '../notifications/test-object.ts'
import { DATABASE_NOW } from '../work/lease.ts'

const KEPT_MS = 86_400_000

/** Registers a test, before its object is stored. Removes those of more than a day before. */
export async function startNotificationTest(database: Database, id: string, at: Date): Promise<void> {
  const before = new Date(at.getTime() - KEPT_MS)
  await database.deleteFrom('notificationTests').where('startedAt', '<', before).execute()
  await database.insertInto('notificationTests').values({ id, startedAt: at }).execute()
}

/** Notes where the notification of a test object has arrived; of an object that nobody registered, nothing. */
export async function noteNotificationTest(
  database: Database,
  key: string,
  step: 'receivedAt' | 'processedAt',
): Promise<void> {
  const id = testIdOf(key)
  if (id === null) return
  await database
    .updateTable('notificationTests')
    .set({ [step]: DATABASE_NOW })
    .where('id', '=', id)
    .where(step, 'is', null)
    .execute()
}

export async function findNotificationTest(database: Database, id: string) {
  return await database.selectFrom('notificationTests').selectAll().where('id', '=', id).executeTakeFirst()
}
