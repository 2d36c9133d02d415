/** Downloads one file of a run into a folder. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { classify, InvalidInputError } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import { releaseLock, takeLock } from '../push/lock.ts'

import { type DownloadOptions, download } from './download.ts'
import type { LinkRequest, LinkSource, OfferedFile } from './link-source.ts'
import { difference } from './partial-file.ts'
import type { Link, LinkSupplier } from './wanted-file.ts'

/**
 * `fetched` and `already-there`: the file is complete and compared. `recalling`: it is being brought back from
 * tape. `on-tape`: it is only on tape, and no recall was requested. `unavailable` and `failed`: see the reason.
 */
export type GetState = 'fetched' | 'already-there' | 'recalling' | 'on-tape' | 'unavailable' | 'failed'

export interface GetResult extends RunId {
  /** Null when the files of the run are not known. */
  readonly file: string | null
  /** The path of the file, also before it is fetched; null when it failed. */
  readonly path: string | null
  readonly state: GetState
  readonly sizeBytes: number | null
  readonly md5: string | null
  /** Bytes received by this command. */
  readonly receivedBytes: number
  readonly seconds: number
  readonly reason: string | null
  /** Why the file should be used with care, after its name; null for a good file. */
  readonly warning: string | null
}

/** `noRoom`: the disk is full, so the other files cannot be fetched either. */
export type Attempt = GetResult & { readonly noRoom: boolean }

export interface GetProgress {
  readonly file: string
  readonly phase: 'fetching' | 'comparing'
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface GetFileOptions extends Omit<DownloadOptions, 'onProgress'> {
  readonly folder: string
  /** Request the recall of files that are only on tape. */
  readonly recall: boolean
  readonly onProgress: (progress: GetProgress) => void
}

export const INTERRUPTED = 'interrupted; the same command resumes it'

/** Never throws: an error is in the result. */
export async function getFile(
  source: LinkSource,
  run: RunId,
  file: OfferedFile,
  options: GetFileOptions,
): Promise<Attempt> {
  const began = performance.now()
  const result = {
    ...run,
    file: file.fileName,
    path: null,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    receivedBytes: 0,
    reason: null,
    warning: file.warning,
    noRoom: false,
  }
  const since = () => (performance.now() - began) / 1000
  try {
    const path = join(options.folder, safeName(file.fileName))
    if (await isAlreadyThere(path, file, options))
      return { ...result, path, state: 'already-there', seconds: since() }
    const offer =
      file.kind === 'on-tape' && options.recall
        ? await currentOffer(source, run, file, options.signal, { recall: true })
        : file
    if (offer.kind !== 'link')
      return { ...result, path, state: offer.kind, seconds: since(), reason: reasonOf(offer) }
    const receivedBytes = await fetchLocked(path, offer, linkSupplierOf(source, run, offer), options)
    return { ...result, path, state: 'fetched', receivedBytes, seconds: since() }
  } catch (error) {
    const failure = classify(error)
    const reason = options.signal.aborted ? INTERRUPTED : failure.message
    return { ...result, state: 'failed', seconds: since(), reason, noRoom: failure.details.disk === true }
  }
}

/** Names in the catalogue have this form; another name could lead out of the folder. */
function safeName(fileName: string): string {
  if (!/^\w[\w.-]*$/.test(fileName))
    throw new InvalidInputError(`${JSON.stringify(fileName)} is not the name of a run file`)
  return fileName
}

/** @throws InvalidInputError when the path has other contents: existing files are never overwritten. */
async function isAlreadyThere(
  path: string,
  file: OfferedFile,
  { onProgress, signal }: GetFileOptions,
): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  if (found === null) return false
  if (!found.isFile()) throw new InvalidInputError(`${path} exists and is not a file`)
  const progress = (doneBytes: number) =>
    onProgress({ file: file.fileName, phase: 'comparing', doneBytes, totalBytes: file.sizeBytes })
  const differs =
    found.size === file.sizeBytes
      ? await difference(path, file, progress, signal)
      : `${found.size} bytes instead of ${file.sizeBytes}`
  if (differs === null) return true
  throw new InvalidInputError(
    `${path} exists with other contents (${differs}): move it away, or choose another folder with --out`,
  )
}

async function fetchLocked(
  path: string,
  file: OfferedFile & { readonly kind: 'link' },
  links: LinkSupplier,
  options: GetFileOptions,
) {
  const lock = `${path}.part.lock`
  const holder = takeLock(lock)
  if (holder !== null) throw new InvalidInputError(`${path} is being fetched by the process ${holder}`)
  try {
    return await download(path, file, links, {
      ...options,
      onProgress: (phase, doneBytes) =>
        options.onProgress({ file: file.fileName, phase, doneBytes, totalBytes: file.sizeBytes }),
    })
  } finally {
    releaseLock(lock)
  }
}

/** Supplies the present link first, then new links to the same contents. */
function linkSupplierOf(
  source: LinkSource,
  run: RunId,
  file: OfferedFile & { readonly kind: 'link' },
): LinkSupplier {
  let first: Link | null = file
  return {
    async renew(signal) {
      const given = first ?? (await newLink(source, run, file, signal))
      first = null
      return given
    },
  }
}

async function newLink(
  source: LinkSource,
  run: RunId,
  file: OfferedFile,
  signal: AbortSignal,
): Promise<Link> {
  const now = await currentOffer(source, run, file, signal)
  if (now.kind !== 'link')
    throw new InvalidInputError(`${file.fileName} is no longer available: ${reasonOf(now)}`)
  return now
}

/** @throws InvalidInputError when the file has other contents now. */
async function currentOffer(
  source: LinkSource,
  run: RunId,
  file: OfferedFile,
  signal: AbortSignal,
  request?: LinkRequest,
): Promise<OfferedFile> {
  const now = (await source.linksOf(run, signal, request)).find(({ fileName }) => fileName === file.fileName)
  if (now === undefined || now.md5 !== file.md5 || now.sizeBytes !== file.sizeBytes)
    throw new InvalidInputError(
      `${file.fileName} was replaced in the store while it was fetched: fetch it again`,
    )
  return now
}

function reasonOf(file: Exclude<OfferedFile, { readonly kind: 'link' }>): string {
  switch (file.kind) {
    case 'recalling':
      return `it is being brought back from tape (${file.state}${file.detail === null ? '' : `: ${file.detail}`})`
    case 'on-tape':
      return `${file.how} (--recall brings it back)`
    case 'unavailable':
      return file.why
  }
}
