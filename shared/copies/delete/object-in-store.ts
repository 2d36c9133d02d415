/**
 * Whether the store still holds the object that was catalogued. Checksums written by the uploader do not
 * prove its contents.
 */

import { replicasOfContent } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Executor } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunFile } from '../../database/schema.ts'
import { describeObject } from '../../storage/objects.ts'
import { isSameVersion, OTHER_OBJECT, versionOfFile } from './deletion-rules.ts'
import type { LocalContent } from './safety.ts'

/**
 * Asks the store now.
 * @param onBadCopy is called with the copy when the object is missing or another one.
 * @returns what differs, as a sentence; null when the object is the catalogued one.
 * @throws what passes with time: the store does not answer.
 */
export async function flawInStore(
  { database, s3 }: Context<'database' | 's3'>,
  content: LocalContent,
  onBadCopy: (copy: Replica) => void,
  signal: AbortSignal,
): Promise<string | null> {
  const [file, ...more] = await liveFiles(database, content)
  if (
    file === undefined ||
    more.length > 0 ||
    file.sha256 !== content.sha256 ||
    file.sizeBytes !== content.sizeBytes
  )
    return 'these are not the contents that the catalogue shows under the key'
  const object = await describeObject(s3, { bucket: content.bucket, key: content.key }, signal)
  if (object !== null && isSameVersion(object, versionOfFile(file))) return null
  for (const copy of await replicasOfContent(database, content)) if (copy.kind === 'cloud') onBadCopy(copy)
  return object === null ? 'the catalogue has it in the store, and it is missing there' : OTHER_OBJECT
}

const liveFiles = (executor: Executor, { bucket, key }: LocalContent): Promise<readonly RunFile[]> =>
  executor
    .selectFrom('runFiles')
    .selectAll()
    .where('bucket', '=', bucket)
    .where('objectKey', '=', key)
    .where('isLive', '=', true)
    .execute()
