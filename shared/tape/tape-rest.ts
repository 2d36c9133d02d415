/**
 * Client of the WLCG Tape REST API, version 1: whether files are on tape, and staging them to disk. Follows
 * its reference document (wlcg-storage/wlcg-tape-rest-api): `archiveinfo`, `stage`, `cancel`, `release`,
 * discovered through a well-known address.
 */
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod'
import { TransientError } from '../errors.ts'
import type { Round } from './driver.ts'
import { type Answer, textOf } from './http/exchange.ts'
import { shown } from './http/failures.ts'
import { refusal } from './webdav/answers.ts'
import { discard, type HttpRequest, type TapeHttp } from './webdav/http.ts'
import { decoded } from './webdav/places.ts'

/**
 * NONE is an empty file; UNAVAILABLE is on a medium that cannot be read at present. Only TAPE and
 * DISK_AND_TAPE are on tape.
 */
const LOCALITIES = ['DISK', 'TAPE', 'DISK_AND_TAPE', 'LOST', 'NONE', 'UNAVAILABLE'] as const
export type Locality = (typeof LOCALITIES)[number]

/** What the tape system reports about one file. */
export type Archived =
  | { readonly kind: 'locality'; readonly locality: Locality }
  /** It cannot answer for this file, which may be unknown to it; or access is denied, or a part of it is down. */
  | { readonly kind: 'error'; readonly reason: string }
  /** A locality that this version of the API does not define. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** The state of one file of a stage request. */
export type Staged =
  | { readonly kind: 'online' }
  | { readonly kind: 'waiting'; readonly reason: string }
  /** The request ended without the file. It can be repeated unless the file is lost. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The tape system no longer knows the request, or no longer keeps the file on disk for it. */
  | { readonly kind: 'over'; readonly reason: string }

/**
 * Paths are those of the endpoint's URLs, decoded, with a leading slash. Every call throws TransientError
 * when it fails.
 */
export interface TapeRest {
  archiveInfo(path: string, signal: AbortSignal): Promise<Archived>
  /**
   * The same for several paths at once, of which `nameOfFile` must differ; without those about which the answer
   * is not clear.
   */
  archiveInfos(paths: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Archived>>
  /**
   * Requests files on disk, to be kept there for this long; returns the id of the request. `nameOfFile` must
   * differ between them.
   */
  stage(paths: readonly string[], lifetimeSeconds: number, signal: AbortSignal): Promise<string>
  staged(requestId: string, path: string, signal: AbortSignal, round?: Round): Promise<Staged>
  /** Cancels the staging of files that are not on disk yet. */
  cancel(requestId: string, paths: readonly string[], signal: AbortSignal): Promise<void>
  /** States that files on disk need not be kept there any longer for this request. */
  release(requestId: string, paths: readonly string[], signal: AbortSignal): Promise<void>
}

/**
 * What was seen of the Tape REST APIs of endpoints, by all processes. Endpoints are named by their root.
 */
export interface TapeRestMemory {
  /** The endpoint has the API. From then on its absence is never believed again. */
  found(endpoint: string): Promise<void>
  /**
   * The endpoint shows no API now. Since when it has shown none at any request; null when it had one before.
   */
  absent(endpoint: string): Promise<Date | null>
}

const WELL_KNOWN = '/.well-known/wlcg-tape-rest-api'
/** The bodies of these answers are short; a longer one is not a valid answer. */
const MOST_BYTES = 4 * 1024 * 1024

const discovery = z.object({
  endpoints: z.array(z.object({ uri: z.url({ protocol: /^https?$/ }), version: z.string() })),
})
const archiveInfo = z.array(
  z.object({ path: z.string(), locality: z.string().nullish(), error: z.string().nullish() }),
)
const stageAnswer = z.object({ requestId: z.string().min(1) })
const stageState = z.object({
  files: z.array(
    z.object({
      path: z.string(),
      onDisk: z.boolean().nullish(),
      state: z.string().nullish(),
      error: z.string().nullish(),
    }),
  ),
})

/**
 * Discovers the API of an endpoint; null when this answer shows none, from which alone nothing may be concluded.
 * @throws TransientError when that cannot be determined: if a busy tape system were taken for none, files
 * would count as on media that are not.
 */
export async function discoverTapeRest(
  http: TapeHttp,
  root: URL,
  signal: AbortSignal,
): Promise<TapeRest | null> {
  const what = 'its Tape REST API'
  const answer = await http.request({ method: 'GET', url: new URL(WELL_KNOWN, root).href, what }, signal)
  if ([404, 405, 410, 501].includes(answer.status)) {
    await discard(answer)
    return null
  }
  if (answer.status !== 200) {
    const hint =
      answer.status === 401 || answer.status === 403
        ? `${what} (CYGNET_TAPE_REST=never where there is none)`
        : what
    throw await refusal(answer, hint)
  }
  const { endpoints } = await read(answer, what, discovery, signal)
  const known = endpoints.filter(({ version }) => /^v?1(\.|$)/i.test(version))
  const found = known.find(({ uri }) => uri.startsWith('https:')) ?? known[0]
  if (found === undefined)
    throw new TransientError(
      `the Tape REST API of ${root.host} has no version 1 (but ${shown(endpoints.map(({ version }) => version).join(', '))})`,
    )
  // The endpoint names its tape system, which receives the token; but never without TLS.
  if (root.protocol === 'https:' && !found.uri.startsWith('https:'))
    throw new TransientError(`${root.host} names an address without TLS for its Tape REST API`, {
      operator: true,
    })
  return createTapeRest(http, found.uri.replace(/\/+$/, ''))
}

function createTapeRest(http: TapeHttp, uri: string): TapeRest {
  const post = (path: string, what: string, body: object, signal: AbortSignal) =>
    send(
      {
        method: 'POST',
        url: `${uri}${path}`,
        what,
        headers: JSON_HEADERS,
        body: { text: JSON.stringify(body) },
      },
      signal,
    )
  const send = async (request: HttpRequest, signal: AbortSignal): Promise<Answer> =>
    await http.request(request, signal)
  const postPaths = async (
    path: string,
    what: string,
    paths: readonly string[],
    signal: AbortSignal,
  ): Promise<void> => {
    const answer = await post(path, what, { paths }, signal)
    if (answer.status !== 200 && answer.status !== 204) throw await refusal(answer, what)
    await discard(answer)
  }
  const askWhere = async (paths: readonly string[], signal: AbortSignal) => {
    const what = paths.length === 1 ? `where ${paths[0]} is` : `where ${paths.length} files are`
    const answer = await post('/archiveinfo', what, { paths }, signal)
    if (answer.status !== 200) throw await refusal(answer, what)
    const entries = byName(await read(answer, what, archiveInfo, signal))
    return (path: string): Archived =>
      agreed(path, entries(path).map(archivedOf)) ?? {
        kind: 'unknown',
        reason: 'the tape system reports nothing about it',
      }
  }
  /** The entries of a stage request; null when the tape system no longer knows it. */
  const filesOfRequest = async (requestId: string, what: string, signal: AbortSignal) => {
    const answer = await send(
      { method: 'GET', url: `${uri}/stage/${encodeURIComponent(requestId)}`, what },
      signal,
    )
    if (answer.status === 404 || answer.status === 410) {
      await discard(answer)
      return null
    }
    if (answer.status !== 200) throw await refusal(answer, what)
    const { files } = await read(answer, what, stageState, signal)
    return { isEmpty: files.length === 0, of: byName(files) }
  }
  const shared = shareInRounds(filesOfRequest)
  return {
    archiveInfo: async (path, signal) => (await askWhere([path], signal))(path),
    async archiveInfos(paths, signal) {
      const placeOf = await askWhere(paths, signal)
      return new Map(
        paths.flatMap((path) => {
          try {
            return [[path, placeOf(path)] as const]
          } catch {
            return []
          }
        }),
      )
    },
    async stage(paths, lifetimeSeconds, signal) {
      const what = paths.length === 1 ? `staging ${paths[0]}` : `staging ${paths.length} files`
      const diskLifetime = isoDuration(lifetimeSeconds)
      const files = paths.map((path) => ({ path, diskLifetime }))
      const answer = await post('/stage', what, { files }, signal)
      if (answer.status !== 201 && answer.status !== 200) throw await refusal(answer, what)
      return (await read(answer, what, stageAnswer, signal)).requestId
    },
    async staged(requestId, path, signal, round) {
      const files = await shared(requestId, `the staging of ${path}`, signal, round)
      if (files === null) return { kind: 'over', reason: 'the tape system no longer knows the request' }
      if (files.isEmpty) throw unclear(path)
      const states = files.of(path).map((entry) => stagedOf(entry, path))
      return agreed(path, states) ?? { kind: 'over', reason: 'the request is not about this file' }
    },
    cancel: (requestId, paths, signal) =>
      postPaths(`/stage/${encodeURIComponent(requestId)}/cancel`, 'cancelling the staging', paths, signal),
    release: (requestId, paths, signal) =>
      postPaths(`/release/${encodeURIComponent(requestId)}`, 'releasing files', paths, signal),
  }
}

const JSON_HEADERS = { 'Content-Type': 'application/json', Accept: 'application/json' }

/**
 * The entries about a file. The tape system may answer with another path than it was asked for: dCache names
 * files below the root of its namespace, or below that of the user. No request of ours concerns two files whose
 * `nameOfFile` is the same, so without an entry of its path, those are meant whose path differs in its beginning
 * or its encoding only.
 */
function entriesOf<Entry extends { readonly path: string }>(
  path: string,
  entries: readonly Entry[],
): readonly Entry[] {
  const exact = entries.filter((entry) => entry.path === path)
  if (exact.length > 0) return exact
  const name = nameOfFile(path)
  return entries.filter((entry) => nameOfFile(entry.path) === name)
}

/** `entriesOf` for many paths: an answer about many files is not searched for each of them. */
function byName<Entry extends { readonly path: string }>(
  entries: readonly Entry[],
): (path: string) => readonly Entry[] {
  const named = new Map<string, Entry[]>()
  for (const entry of entries) {
    const name = nameOfFile(entry.path)
    named.set(name, [...(named.get(name) ?? []), entry])
  }
  return (path) => entriesOf(path, named.get(nameOfFile(path)) ?? [])
}

interface Asked<Answered> {
  readonly answer: Promise<Answered>
  readonly signal: AbortSignal
}

type Ask<Answered> = (requestId: string, what: string, signal: AbortSignal) => Promise<Answered>

/** Asks once about each request in a round, and again after an error. */
function shareInRounds<Answered>(
  ask: Ask<Answered>,
): (...args: [...Parameters<Ask<Answered>>, round?: Round]) => Promise<Answered> {
  const rounds = new WeakMap<Round, Map<string, Asked<Answered>>>()
  return async (requestId, what, signal, round) => {
    if (round === undefined) return await ask(requestId, what, signal)
    const answers = rounds.get(round) ?? new Map()
    rounds.set(round, answers)
    const asked = answers.get(requestId)
    if (asked !== undefined && !asked.signal.aborted) return await asked.answer
    const answer = ask(requestId, what, signal)
    answers.set(requestId, { answer, signal })
    return await answer.catch((error: unknown) => {
      answers.delete(requestId)
      throw error
    })
  }
}

/**
 * The name of a file and of its folder, the same for all forms in which a tape system may write them: `a b` and
 * `a%20b` are two files, and it may write the first as the second.
 */
export function nameOfFile(path: string): string {
  const plain = decoded(path) ?? path
  return plain === path ? path.split('/').filter(Boolean).slice(-2).join('/') : nameOfFile(plain)
}

/** The one statement of all entries about a file; null without any. @throws TransientError when they differ. */
function agreed<Statement>(path: string, statements: readonly Statement[]): Statement | null {
  const [first = null, ...others] = statements
  if (others.some((other) => !isDeepStrictEqual(other, first))) throw unclear(path)
  return first
}

const unclear = (path: string) => new TransientError(`the tape system does not report clearly about ${path}`)

function archivedOf(item: z.infer<typeof archiveInfo>[number]): Archived {
  if (item.error) return { kind: 'error', reason: shown(item.error) }
  const locality = LOCALITIES.find((known) => known === item.locality)
  if (locality !== undefined) return { kind: 'locality', locality }
  return { kind: 'unknown', reason: `the tape system gives the locality "${shown(item.locality ?? '')}"` }
}

/**
 * A tape system reports either `onDisk` or `state`. @throws TransientError when it reports neither, or both
 * with a contradiction.
 */
function stagedOf(file: z.infer<typeof stageState>['files'][number], path: string): Staged {
  const onDisk = file.onDisk ?? undefined
  const state = file.state ?? undefined
  const error = file.error ? `: ${shown(file.error)}` : ''
  const ended = state === 'FAILED' || state === 'CANCELLED'
  if (
    (onDisk === undefined && state === undefined) ||
    (onDisk === true && ended) ||
    (onDisk === false && state === 'COMPLETED')
  )
    throw new TransientError(`the tape system does not state clearly whether ${path} is on disk`)
  if (onDisk === true || state === 'COMPLETED') return { kind: 'online' }
  if (ended) return { kind: 'failed', reason: `${state}${error}` }
  if (file.error) return { kind: 'failed', reason: shown(file.error) }
  return { kind: 'waiting', reason: state === undefined ? 'not on disk yet' : shown(state) }
}

/** ISO 8601, in whole days where possible, as in the reference document. */
function isoDuration(seconds: number): string {
  return seconds % 86_400 === 0 && seconds > 0 ? `P${seconds / 86_400}D` : `PT${Math.ceil(seconds)}S`
}

async function read<T>(answer: Answer, what: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  const malformed = (why: string, cause?: unknown) =>
    new TransientError(`${answer.url.host} gave a malformed answer about ${what}: ${why}`, {}, { cause })
  const result = schema.safeParse(parseJson(await textOf(answer, what, MOST_BYTES, signal), malformed))
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw malformed(`${issue?.path.join('.')}: ${issue?.message}`)
}

function parseJson(text: string, malformed: (why: string, cause?: unknown) => TransientError): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed('it is not JSON', cause)
  }
}
