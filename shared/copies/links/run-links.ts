/**
 * Links to the files of a run: for each file one that works now, or why there is none and how it can come
 * about.
 */

import { copiesOfFile, replicasOfRun } from '../../catalogue/replicas.ts'
import type { TapeContext } from '../../context.ts'
import type { Replica, ReplicaState } from '../../database/replica-schema.ts'
import type { RunFile } from '../../database/schema.ts'
import { InvalidInputError } from '../../errors.ts'
import { presignGet } from '../../storage/links.ts'
import { describeObject, type ObjectDescription } from '../../storage/objects.ts'
import { type ChosenRun, chooseRun, type RunChoice } from '../recall/choose-run.ts'
import { verifiedEtagOf } from '../recall/reference.ts'
import { recallFiles } from '../recall/request.ts'
import { isRecalling, isStoreCopy, onTapeText, whereaboutsOf } from '../recall/whereabouts.ts'
import { type ConfirmLoss, createConfirmLoss } from '../verify/confirm-loss.ts'

export interface LinkWish {
  /** Wished validity; CYGNET_LINK_SECONDS and the end of our own credentials limit it. */
  readonly seconds: number
  /** Asks for what is only on tape to be brought back. */
  readonly recall?: { readonly days: number; readonly requestedBy: string } | undefined
}

/** A file by the catalogue; checksums in lower-case hex. */
export interface LinkedFile {
  readonly bucket: string
  readonly key: string
  readonly fileName: string
  readonly sizeBytes: number
  readonly md5: string
  readonly adler32: string
  readonly sha256: string
}

export type FileLink = LinkedFile &
  (
    | { readonly kind: 'link'; readonly url: string; readonly expiresAt: Date }
    /** Being brought back from tape. `detail`: what it waits for, or what went wrong last. */
    | {
        readonly kind: 'recalling'
        readonly state: ReplicaState
        readonly requestedAt: Date
        readonly detail: string | null
      }
    | { readonly kind: 'on-tape'; readonly how: string }
    | { readonly kind: 'unavailable'; readonly why: string }
  )

export interface RunLinks {
  readonly run: { readonly id: number; readonly tag: string; readonly runNumber: number }
  /** In the order of the subruns. */
  readonly files: readonly FileLink[]
}

/**
 * Every object is looked up in the store before a link to it is given: it must be the one that was verified.
 * Whether who asks may see the run is the caller's to decide.
 * @param confirmLoss of what is not there though the catalogue has it; of many runs in one answer, the same
 * for all.
 * @throws InvalidInputError when the run is unknown, its tag must be said, or the wish makes no sense.
 */
export async function runLinks(
  context: TapeContext,
  choice: RunChoice,
  wish: LinkWish,
  now: Date,
  signal: AbortSignal,
  confirmLoss: ConfirmLoss = createConfirmLoss(context),
): Promise<RunLinks> {
  if (!(wish.seconds >= 1))
    throw new InvalidInputError(`a link is valid for a second at least, not for ${wish.seconds}`)
  const chosen = await chooseRun(context.database, choice)
  const { run } = chosen
  const found = await findFiles(context, chosen, confirmLoss, signal)
  const asleep = found.filter((file) => file.kind === 'on-tape')
  const recalled =
    wish.recall === undefined || asleep.length === 0
      ? found
      : await recall(context, chosen, { found, asleep, wish: wish.recall }, now, signal)
  const files: FileLink[] = []
  for (const file of recalled)
    files.push(file.kind === 'there' ? await linkTo(context, file, wish.seconds, now) : file.link)
  return { run: { id: run.id, tag: run.tag, runNumber: run.runNumber }, files }
}

type FoundFile = { readonly file: RunFile } & (
  | { readonly kind: 'there'; readonly object: ObjectDescription }
  | { readonly kind: 'on-tape' | 'other'; readonly link: FileLink }
)

async function findFiles(
  context: TapeContext,
  { run, files }: ChosenRun,
  confirmLoss: ConfirmLoss,
  signal: AbortSignal,
): Promise<readonly FoundFile[]> {
  const replicas = await replicasOfRun(context.database, run.id)
  const found: FoundFile[] = []
  for (const file of files)
    found.push(await findFile(context, file, copiesOfFile(file, replicas), confirmLoss, signal))
  return found
}

async function findFile(
  context: TapeContext,
  file: RunFile,
  copies: readonly Replica[],
  confirmLoss: ConfirmLoss,
  signal: AbortSignal,
): Promise<FoundFile> {
  const named = describeFile(file)
  const unavailable = (why: string): FoundFile => ({
    kind: 'other',
    file,
    link: { ...named, kind: 'unavailable', why },
  })
  const cloud = copies.find((copy) => copy.kind === 'cloud')
  const recall = copies.find((copy) => copy.kind === 'recall')
  const suspicious = copies.find((copy) => copy.kind !== 'tape' && copy.state === 'suspicious')
  if (suspicious !== undefined)
    return unavailable(
      `its contents are suspicious: ${suspicious.lastError ?? 'they are not what they were'}`,
    )
  const object = await describeObject(context.s3, { bucket: file.bucket, key: file.objectKey }, signal)
  // One that is being deleted is as good as gone.
  if (object !== null && cloud?.state !== 'deleting' && isVerified(object, file, recall))
    return { kind: 'there', file, object }
  if (recall !== undefined && isRecalling(recall))
    return { kind: 'other', file, link: recallingLink(named, recall) }
  if (object !== null && cloud?.state !== 'deleting')
    return unavailable(
      'the store holds something else under its key, which is not catalogued (yet): try again in a minute',
    )
  const isLost = object === null && (await hasLost(copies, confirmLoss, signal))
  const where = whereaboutsOf(copies, true)
  if (where.kind !== 'on-tape') {
    const why = 'why' in where ? where.why : 'it is not in the store'
    return unavailable(isLost ? `the store has lost it: ${why}` : why)
  }
  const failed =
    recall?.state === 'failed' ? ` (the last recall failed: ${recall.lastError ?? 'no reason known'})` : ''
  return { kind: 'on-tape', file, link: { ...named, kind: 'on-tape', how: onTapeText(isLost) + failed } }
}

/** Nobody deleted on purpose what the catalogue still has there, or knows to be missing. */
async function hasLost(
  copies: readonly Replica[],
  confirmLoss: ConfirmLoss,
  signal: AbortSignal,
): Promise<boolean> {
  const inStore = copies.filter(isStoreCopy)
  let isLost = inStore.some(({ state }) => state === 'missing')
  for (const copy of inStore) if (copy.state === 'present' && (await confirmLoss(copy, signal))) isLost = true
  return isLost
}

/**
 * The object is the version that extraction or the recall has read whole, or the store itself states that it
 * has the same bytes.
 */
function isVerified(object: ObjectDescription, file: RunFile, recall: Replica | undefined): boolean {
  if (object.sizeBytes !== file.sizeBytes) return false
  if (object.etag === file.etag) return true
  if (recall !== undefined && verifiedEtagOf(recall) === object.etag) return true
  const stated = object.stated.filter(({ by }) => by !== 'uploader')
  return stated.some(({ digests }) => digests.md5 === file.md5 || digests.sha256 === file.sha256)
}

async function recall(
  context: TapeContext,
  { run }: ChosenRun,
  asked: {
    readonly found: readonly FoundFile[]
    readonly asleep: readonly FoundFile[]
    readonly wish: NonNullable<LinkWish['recall']>
  },
  now: Date,
  signal: AbortSignal,
): Promise<readonly FoundFile[]> {
  const files = asked.asleep.map(({ file }) => file)
  await recallFiles(context, { run, files }, asked.wish, now, signal, new Set(files))
  const replicas = await replicasOfRun(context.database, run.id)
  return asked.found.map((found) => {
    if (found.kind !== 'on-tape') return found
    const wished = copiesOfFile(found.file, replicas).find((copy) => copy.kind === 'recall')
    return wished === undefined
      ? found
      : { kind: 'other', file: found.file, link: recallingLink(describeFile(found.file), wished) }
  })
}

const recallingLink = (named: LinkedFile, recall: Replica): FileLink => ({
  ...named,
  kind: 'recalling',
  state: recall.state,
  requestedAt: recall.requestedAt,
  detail: recall.lastError,
})

async function linkTo(
  context: TapeContext,
  { file, object }: { readonly file: RunFile; readonly object: ObjectDescription },
  seconds: number,
  now: Date,
): Promise<FileLink> {
  const named = describeFile(file)
  const valid = Math.min(Math.floor(seconds), context.config.store.linkSeconds)
  const options = { seconds: valid, now, fileName: named.fileName, versionId: object.versionId }
  return { ...named, kind: 'link', ...(await presignGet(context.publicS3, object, options)) }
}

const describeFile = (file: RunFile): LinkedFile => ({
  bucket: file.bucket,
  key: file.objectKey,
  fileName: file.objectKey.slice(file.objectKey.lastIndexOf('/') + 1),
  sizeBytes: file.sizeBytes,
  md5: file.md5,
  adler32: file.adler32,
  sha256: file.sha256,
})
