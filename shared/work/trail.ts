/**
 * The reference of a task to its external job (request id, upload id), saved during an attempt: the next
 * attempt finds the job even if this function dies.
 */
import type { Database } from '../database/connect.ts'
import type { Reference, Task } from '../database/work-schema.ts'
import { assertHeld } from './lease.ts'

export interface Trail {
  /** The current value in the row. */
  readonly reference: Reference | null
  /**
   * Changes parts of the reference; null removes one.
   * @throws ConflictError when another function has taken the task over.
   */
  note(parts: Readonly<Record<string, string | null>>): Promise<void>
}

/** @param task as claimed. */
export function trailOf(database: Database, { id, leaseOwner, reference: before }: Task): Trail {
  let reference = before
  return {
    get reference() {
      return reference
    },
    async note(parts) {
      const kept = Object.entries({ ...reference, ...parts }).filter(([, part]) => part !== null)
      const next = kept.length === 0 ? null : (Object.fromEntries(kept) as Reference)
      const result = await database
        .updateTable('tasks')
        .set({ reference: next === null ? null : JSON.stringify(next) })
        .where('id', '=', id)
        .where('leaseOwner', '=', leaseOwner)
        .executeTakeFirst()
      assertHeld(result)
      reference = next
    },
  }
}
