/**
 * Links to files of a run, each checked in the store first: either a link that works now, or why there is
 * none and how to get one.
 */
import { mustBeRead } from '../../catalogue/evidence.ts'
import { recallsOfRuns } from '../../catalogue/recalls.ts'
import { copiesOfFile } from '../../catalogue/replicas.ts'
import type { Context } from '../../context.ts'
import type { Replica, ShownRecall } from '../../database/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { isNoBucket } from '../../storage/bucket-exists.ts'
import { presignGet } from '../../storage/links.ts'
import { describeObject, type ObjectDescription } from '../../storage/objects.ts'
import { isBackInStore, isRecalling, locateContent, onTapeHint } from '../recall/location.ts'
import { type RecallRequest, recallFiles } from '../recall/request.ts'
import { resolveRun } from '../recall/resolve-run.ts'
import { type ConfirmLoss, createConfirmLoss } from '../verify/confirm-loss.ts'
import type { FileLink, FoundFile, LinkedFile } from './find-files.ts'

export interface LinkRequest {
  /** Requested validity; limited by CYGNET_LINK_SECONDS and the expiry of our own credentials. */
  readonly seconds: number
  /** Requests a recall of the files that are only on tape. */
  readonly recall?: RecallRequest | undefined
}

/**
 * Links to files of one run. The object under a file's key must be the one that was verified. The caller
 * decides whether the user may see the run.
 * @param confirmLoss checks a file that the catalogue has and the store does not; pass the same one for all
 * runs of one answer.
 * @throws InvalidInputError when the validity is less than a second, or a recall is refused.
 */
export async function checkedLinks(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  files: readonly FoundFile[],
  request: LinkRequest,
  now: Date,
  signal: AbortSignal,
  confirmLoss: ConfirmLoss = createConfirmLoss(context),
): Promise<readonly FileLink[]> {
  if (!(request.seconds >= 1))
    throw new InvalidInputError(`a link is valid for a second at least, not for ${request.seconds}`)
  const links: FileLink[] = []
  for (const found of files)
    links.push(await checkedLink(context, found, request.seconds, now, signal, confirmLoss))
  const [first] = files
  if (request.recall === undefined || first === undefined) return links
  return await withRecall(context, { runId: first.runId, links, request: request.recall }, now, signal)
}

/** The same for one file, without a recall. */
export async function checkedLink(
  context: Context<'database' | 'queues' | 's3' | 'publicS3' | 'tape'>,
  found: FoundFile,
  seconds: number,
  now: Date,
  signal: AbortSignal,
  confirmLoss: ConfirmLoss = createConfirmLoss(context),
): Promise<FileLink> {
  const { file, copies, recall } = found
  const unavailable = (why: string): FileLink => ({ ...file, kind: 'unavailable', why })
  const cloud = copies.find((copy) => copy.kind === 'cloud')
  const suspicious = copies.find((copy) => copy.kind !== 'tape' && copy.state === 'suspicious')
  if (suspicious !== undefined)
    return unavailable(`its contents are suspicious: ${suspicious.lastError ?? 'no reason known'}`)
  const object = await describeObject(context.s3, file, signal).catch((error: unknown) => {
    // One wrong bucket does not prevent the links to files of others.
    if (isNoBucket(error)) return null
    throw error
  })
  // An object that is being deleted gets no link.
  const isThere = object !== null && cloud?.state !== 'deleting'
  // It was missing since: what is there now may be what the read found.
  if (isThere && cloud !== undefined && mustBeRead(cloud) && !isBackInStore(recall, cloud))
    return unavailable(`its contents are suspicious: ${cloud.lastError ?? 'a read found other bytes'}`)
  if (isThere && isVerified(object, found)) {
    const valid = Math.min(Math.floor(seconds), context.config.store.linkSeconds)
    const options = { seconds: valid, now, fileName: file.fileName, versionId: object.versionId }
    return { ...file, kind: 'link', ...(await presignGet(context.publicS3, file, options)) }
  }
  if (recall !== undefined && isRecalling(recall)) return recallingLink(file, recall)
  if (isThere)
    return unavailable(
      'the store holds something else under its key, which is not catalogued (yet): try again in a minute',
    )
  const isLost = object === null && (await hasLost(cloud, confirmLoss, signal))
  const where = locateContent(copies, true)
  if (where.kind !== 'on-tape') {
    const why = where.kind === 'unavailable' ? where.reason : 'it is not in the store'
    return unavailable(isLost ? `the store has lost it: ${why}` : why)
  }
  const failed =
    recall?.state === 'failed' ? ` (the last recall failed: ${recall.lastError ?? 'no reason known'})` : ''
  return { ...file, kind: 'on-tape', how: onTapeHint(isLost) + failed }
}

/** Whether the store lost it: the catalogue still has it there, or knows that it is missing. */
async function hasLost(
  cloud: Replica | undefined,
  confirmLoss: ConfirmLoss,
  signal: AbortSignal,
): Promise<boolean> {
  return cloud?.state === 'missing' || (cloud?.state === 'present' && (await confirmLoss(cloud, signal)))
}

/**
 * Whether the object is the version that extraction or the recall read whole, or the store itself states the
 * same checksum.
 */
function isVerified(object: ObjectDescription, { file, etag, recall }: FoundFile): boolean {
  if (object.sizeBytes !== file.sizeBytes) return false
  if (object.etag === etag || object.etag === recall?.etag) return true
  const stated = object.stated.filter(({ by }) => by !== 'uploader')
  return stated.some(({ digests }) => digests.md5 === file.md5 || digests.sha256 === file.sha256)
}

/** Requests a recall of those files that are only on tape. */
async function withRecall(
  context: Context<'database' | 'queues'>,
  { runId, links, request }: { runId: number; links: readonly FileLink[]; request: RecallRequest },
  now: Date,
  signal: AbortSignal,
): Promise<readonly FileLink[]> {
  const onTape = links.filter(({ kind }) => kind === 'on-tape')
  if (onTape.length === 0) return links
  const { run, files } = await resolveRun(context.database, { runId })
  const missing = files.filter((file) =>
    onTape.some(({ bucket, key }) => bucket === file.bucket && key === file.objectKey),
  )
  await recallFiles(context, { run, files: missing }, request, now, signal, new Set(missing))
  const recalls = await recallsOfRuns(context.database, [runId])
  return links.map((link) => {
    if (link.kind !== 'on-tape') return link
    const { kind: _, how: __, ...file } = link
    const [recall] = copiesOfFile({ ...file, objectKey: file.key }, recalls)
    return recall === undefined ? link : recallingLink(file, recall)
  })
}

const recallingLink = (file: LinkedFile, recall: ShownRecall): FileLink => ({
  ...file,
  kind: 'recalling',
  state: recall.state,
  requestedAt: recall.requestedAt,
  detail: recall.lastError,
})
