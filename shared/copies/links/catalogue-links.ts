/**
 * Links by what the catalogue says alone, without a look into the store. What left the store or was replaced a
 * moment ago may have a link that leads nowhere, or to bytes with other checksums; `checkedLinks` looks first.
 */
import type { Context } from '../../context.ts'
import { presignGet } from '../../storage/links.ts'
import { isBackInStore, isRecalling, onTapeText, whereaboutsOf } from '../recall/whereabouts.ts'
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
      const why = notThere(found)
      if (why !== null) return { ...file, ...why }
      const options = { seconds: valid, now, fileName: file.fileName, versionId }
      return { ...file, kind: 'link', ...(await presignGet(context.publicS3, file, options)) }
    }),
  )
}

type NotThere =
  | Pick<Extract<FileLink, { kind: 'recalling' }>, 'kind' | 'state' | 'requestedAt' | 'detail'>
  | { readonly kind: 'on-tape'; readonly how: string }
  | { readonly kind: 'unavailable'; readonly why: string }

/** Why there is no link, by the copies of these contents; null when they are in the store. */
function notThere({ file, copies, recall }: FoundFile): NotThere | null {
  const suspicious = copies.find((copy) => copy.kind !== 'tape' && copy.state === 'suspicious')
  if (suspicious !== undefined)
    return {
      kind: 'unavailable',
      why: `its contents are suspicious: ${suspicious.lastError ?? 'they are not what they were'}`,
    }
  const cloud = copies.find((copy) => copy.kind === 'cloud')
  if (cloud?.state === 'present' || isBackInStore(recall, cloud)) return null
  if (recall !== undefined && isRecalling(recall))
    return {
      kind: 'recalling',
      state: recall.state,
      requestedAt: recall.requestedAt,
      detail: recall.lastError,
    }
  const where = whereaboutsOf(copies, true)
  if (where.kind === 'on-tape') return { kind: 'on-tape', how: onTapeText(cloud?.state === 'missing') }
  return { kind: 'unavailable', why: 'why' in where ? where.why : `${file.fileName} is not in the store` }
}
