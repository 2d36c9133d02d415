/**
 * The copies of the contents that the catalogue has under a key, and whether a file with these contents may
 * go elsewhere.
 */

import { safetyOf } from '../../../shared/copies/delete/safety.ts'
import type { Database } from '../../../shared/database/connect.ts'
import type { FindCopies } from './copies.ts'

export function findCopiesIn(database: Database): FindCopies {
  return async ({ bucket, key }) => {
    // What the store holds under the key, or held last.
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
      cloud: cloud && stated(cloud),
      tape: tape.map((copy) => ({ endpoint: copy.endpoint, ...stated(copy) })),
      safe,
      why,
    }
  }
}

const stated = ({ state, verifiedAt }: { readonly state: string; readonly verifiedAt: Date | null }) => ({
  state,
  verifiedAt: verifiedAt?.toISOString() ?? null,
})
