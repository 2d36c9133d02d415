/**
 * What leads back to the outside while a recall is in progress, kept in the task: the stage request at the
 * tape endpoint (`stage`), and the id of the unfinished upload in the store (`upload`).
 */
import type { Database } from '../../database/connect.ts'
import type { Reference, Task } from '../../database/work-schema.ts'
import { noteReference } from '../../work/tasks.ts'

export interface Trail {
  readonly reference: Reference | null
  /** @throws ConflictError when another function has taken the task over. */
  note(reference: Reference | null): Promise<void>
}

export function trailOf(database: Database, task: Task): Trail {
  let known = task.reference
  return {
    get reference() {
      return known
    },
    async note(reference) {
      await noteReference(database, task, reference)
      known = reference
    },
  }
}
