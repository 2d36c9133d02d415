/** One file of a run into a folder. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { classify, InvalidInputError } from '../../shared/errors.ts'
import type { RunId } from '../../shared/run.ts'
import { releaseLock, takeLock } from '../push/lock.ts'

import { type DownloadOptions, download } from './download.ts'
import type { LinkSource, LinkWish, OfferedFile } from './link-source.ts'
import { difference } from './partial-file.ts'
import type { Link, LinkGiver } from './wanted-file.ts'

/**
 * `fetched` and `already-there`: all bytes are there and compared. `recalling`: it is being brought back from
 * tape. `on-tape`: that was not asked for. `unavailable` and `failed`: see the reason.
 */
export type GetState = 'fetched' | 'already-there' | 'recalling' | 'on-tape' | 'unavailable' | 'failed'

export interface GetResult extends RunId {
  /** Null when it is not known which files the run has. */
  readonly file: string | null
  /** Where it is, or would be; null when it failed. */
  readonly path: string | null
  readonly state: GetState
  readonly sizeBytes: number | null
  readonly md5: string | null
  /** That came now. */
  readonly receivedBytes: number
  readonly seconds: number
  readonly reason: string | null
}

/** `noRoom`: for other files there is none either. */
export type Attempt = GetResult & { readonly noRoom: boolean }

export interface GetProgress {
  readonly file: string
  readonly phase: 'fetching' | 'comparing'
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface GetFileOptions extends Omit<DownloadOptions, 'onProgress'> {
  readonly folder: string
  /** Asks for what is only on tape, and is not here, to be brought back. */
  readonly recall: boolean
  readonly onProgress: (progress: GetProgress) => void
}

export const INTERRUPTED = 'interrupted; the same command goes on with it'

/** Never throws: what goes wrong is told in the result. */
export async function getFile(
  source: LinkSource,
  run: RunId,
  file: OfferedFile,
  options: GetFileOptions,
): Promise<Attempt> {
  const began = performance.now()
  const known = {
    ...run,
    file: file.fileName,
    path: null,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    receivedBytes: 0,
    reason: null,
    noRoom: false,
  }
  const since = () => (performance.now() - began) / 1000
  try {
    const path = join(options.folder, safeName(file.fileName))
    if (await isThere(path, file, options))
      return { ...known, path, state: 'already-there', seconds: since() }
    const asked =
      file.kind === 'on-tape' && options.recall
        ? await offerNow(source, run, file, options.signal, { recall: true })
        : file
    if (asked.kind !== 'link')
      return { ...known, path, state: asked.kind, seconds: since(), reason: reasonOf(asked) }
    const receivedBytes = await fetchLocked(path, asked, giverOf(source, run, asked), options)
    return { ...known, path, state: 'fetched', receivedBytes, seconds: since() }
  } catch (error) {
    const failure = classify(error)
    const reason = options.signal.aborted ? INTERRUPTED : failure.message
    return { ...known, state: 'failed', seconds: since(), reason, noRoom: failure.details.disk === true }
  }
}

/** The catalogue's names are of this form; an answer with another one would lead out of the folder. */
function safeName(fileName: string): string {
  if (!/^\w[\w.-]*$/.test(fileName))
    throw new InvalidInputError(`${JSON.stringify(fileName)} is not the name of a run file`)
  return fileName
}

/** @throws InvalidInputError when something else has this name: nothing is ever written over. */
async function isThere(
  path: string,
  file: OfferedFile,
  { onProgress, signal }: GetFileOptions,
): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  if (found === null) return false
  if (!found.isFile()) throw new InvalidInputError(`${path} is there and is no file`)
  const progress = (doneBytes: number) =>
    onProgress({ file: file.fileName, phase: 'comparing', doneBytes, totalBytes: file.sizeBytes })
  const differs =
    found.size === file.sizeBytes
      ? await difference(path, file, progress, signal)
      : `${found.size} bytes instead of ${file.sizeBytes}`
  if (differs === null) return true
  throw new InvalidInputError(
    `${path} is there with other contents (${differs}): move it away, or choose another folder with --out`,
  )
}

async function fetchLocked(
  path: string,
  file: OfferedFile & { readonly kind: 'link' },
  links: LinkGiver,
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

/** The link at hand first, then new ones for the same contents. */
function giverOf(source: LinkSource, run: RunId, file: OfferedFile & { readonly kind: 'link' }): LinkGiver {
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
  const now = await offerNow(source, run, file, signal)
  if (now.kind !== 'link')
    throw new InvalidInputError(`${file.fileName} cannot be had any more: ${reasonOf(now)}`)
  return now
}

/** @throws InvalidInputError when it has other contents by now. */
async function offerNow(
  source: LinkSource,
  run: RunId,
  file: OfferedFile,
  signal: AbortSignal,
  wish?: LinkWish,
): Promise<OfferedFile> {
  const now = (await source.linksOf(run, signal, wish)).find(({ fileName }) => fileName === file.fileName)
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
      return `${file.how} (--recall asks for it)`
    case 'unavailable':
      return file.why
  }
}
