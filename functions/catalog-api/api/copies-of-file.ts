/** The copies of the contents that the catalogue has under a key. */

import { safetyOf } from '../../../shared/copies/delete/safety.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { FindCopies } from './copies.ts'

export function findCopiesIn(database: Database): FindCopies {
  return async ({ bucket, key }) => {
    // What the store has under the key, or had last.
    const file = await database
      .selectFrom('runFiles')
      .select(['sha256', 'md5', 'sizeBytes'])
      .where('bucket', '=', bucket)
      .where('objectKey', '=', key)
      .orderBy('isLive', 'desc')
      .orderBy('id', 'desc')
      .executeTakeFirst()
    if (file === undefined) return null
    const { cloud, tape, safe, why } = await safetyOf({ database }, { bucket, key, ...file })
    return {
      ...file,
      cloud: cloud && copyOf(cloud),
      tape: tape.map((copy) => ({ endpoint: copy.endpoint, ...copyOf(copy) })),
      safe,
      why,
    }
  }
}

const copyOf = ({ state, verifiedAt }: { readonly state: string; readonly verifiedAt: Date | null }) => ({
  state,
  verifiedAt: verifiedAt?.toISOString() ?? null,
})
