/**
 * Links by the catalogue alone, without a request to the store. After a file was deleted or replaced a moment
 * ago, its link may fail or lead to bytes with other checksums; `checkedLinks` checks the store first.
 */
import { mustBeRead } from '../../catalogue/evidence.ts'
import type { Context } from '../../context.ts'
import { presignGet } from '../../storage/links.ts'
import { isBackInStore, isRecalling, locateContent, onTapeHint } from '../recall/location.ts'
import type { FileLink, FoundFile } from './find-files.ts'

export async function catalogueLinks(
  context: Context<'publicS3'>,
  files: readonly FoundFile[],
  seconds: number,
  now: Date,
): Promise<readonly FileLink[]> {
  const valid = Math.min(Math.floor(seconds), context.config.store.linkSeconds)
  return await Promise.all(
    files.map(async (found): Promise<FileLink> => {
      const { file, versionId } = found
      const noLink = reasonForNoLink(found)
      if (noLink !== null) return { ...file, ...noLink }
      const options = { seconds: valid, now, fileName: file.fileName, versionId }
      return { ...file, kind: 'link', ...(await presignGet(context.publicS3, file, options)) }
    }),
  )
}

type NoLink =
  | Pick<Extract<FileLink, { kind: 'recalling' }>, 'kind' | 'state' | 'requestedAt' | 'detail'>
  | { readonly kind: 'on-tape'; readonly how: string }
  | { readonly kind: 'unavailable'; readonly why: string }

/** Why there is no link, by the copies of these contents; null when they are in the store. */
function reasonForNoLink({ file, copies, recall }: FoundFile): NoLink | null {
  const suspicious = copies.find((copy) => copy.kind !== 'tape' && copy.state === 'suspicious')
  if (suspicious !== undefined)
    return {
      kind: 'unavailable',
      why: `its contents are suspicious: ${suspicious.lastError ?? 'no reason known'}`,
    }
  const cloud = copies.find((copy) => copy.kind === 'cloud')
  if ((cloud?.state === 'present' && !mustBeRead(cloud)) || isBackInStore(recall, cloud)) return null
  if (recall !== undefined && isRecalling(recall))
    return {
      kind: 'recalling',
      state: recall.state,
      requestedAt: recall.requestedAt,
      detail: recall.lastError,
    }
  const where = locateContent(copies, true)
  if (where.kind === 'on-tape') return { kind: 'on-tape', how: onTapeHint(cloud?.state === 'missing') }
  return {
    kind: 'unavailable',
    why: where.kind === 'unavailable' ? where.reason : `${file.fileName} is not in the store`,
  }
}
