/**
 * Whether a file is on media or staged, as the endpoint's Tape REST API reports it. An endpoint without that
 * API counts as the medium itself (see tape-system.ts).
 */
import { classify, InvalidInputError, TransientError } from '../../errors.ts'
import { withoutSecrets } from '../../log.ts'
import { checkEach } from '../check-each.ts'
import type {
  CheckOptions,
  ContentEvidence,
  Round,
  StagedTogether,
  StageResult,
  TapeCheck,
  TapeFile,
} from '../driver.ts'
import { encodedName } from '../names.ts'
import { type Archived, type Locality, nameOfFile, type Staged, type TapeRest } from '../tape-rest.ts'
import type { Endpoint } from './endpoint.ts'
import { compareBytes, inspect, sizeAt } from './inspect.ts'
import { folderOf } from './places.ts'
import { findProperties } from './properties.ts'
import { assertRootExists } from './root.ts'
import { disappeared, type TapeSystem } from './tape-system.ts'

/** @throws TransientError when it cannot be determined. */
export async function mediumNow(endpoint: Endpoint, file: TapeFile, signal: AbortSignal): Promise<Medium> {
  const system = await endpoint.tapeSystem(signal)
  return mediumOf(system, await placeOf(endpoint, system, file.name, signal))
}

/** What the tape system reports about a file; null where there is none. */
const placeOf = async ({ places }: Endpoint, system: TapeSystem, name: string, signal: AbortSignal) =>
  system.kind === 'none' ? null : await system.rest.archiveInfo(places.path(name), signal)

export type Medium = Pick<Extract<TapeCheck, { kind: 'present' }>, 'onMedia' | 'assumedSince'>

function mediumOf(system: TapeSystem, place: Archived | null): Medium {
  if (system.kind === 'api' || system.since === null) return { onMedia: place === null || hasTapeCopy(place) }
  return { onMedia: true, assumedSince: system.since }
}

const hasTapeCopy = (found: Archived) =>
  found.kind === 'locality' && (found.locality === 'TAPE' || found.locality === 'DISK_AND_TAPE')

/** What an endpoint that is asked itself can have. */
type Here =
  | Exclude<TapeCheck, { kind: 'present' | 'in-progress' | 'failed' }>
  | (Extract<TapeCheck, { kind: 'present' }> & { readonly evidence: ContentEvidence })

/**
 * As TapeDriver.check. A file that is not known to be on disk is not read back: that could recall it from
 * tape.
 */
export async function checkCopy(
  endpoint: Endpoint,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<Here> {
  const url = endpoint.places.url(file.name)
  const found = await inspect(endpoint.http, { url, file, readBack: 'never' }, signal)
  if (found.kind === 'absent' || found.kind === 'different') return found
  const system = await endpoint.tapeSystem(signal)
  const place = await placeOf(endpoint, system, file.name, signal)
  const locality = place?.kind === 'locality' ? place.locality : null
  if (locality === 'LOST')
    return {
      kind: 'different',
      evidence: 'statement',
      reason: 'the endpoint has its name, and reports that its contents are lost (LOST)',
    }
  if (locality === 'UNAVAILABLE')
    return {
      kind: 'unverified',
      reason: 'the endpoint reports that it cannot be read at present (UNAVAILABLE)',
    }
  const medium = mediumOf(system, place)
  if (found.kind === 'same' && options.readBack !== 'always') return presentOf(found, medium)
  const isOnDisk = place === null || locality === 'DISK' || locality === 'DISK_AND_TAPE'
  if (!isOnDisk) {
    const where =
      locality === 'TAPE' ? 'it is on tape only' : `it is not known to be on disk (${placeText(place)})`
    return { kind: 'unproven', reason: `${where}: it has to be staged before it can be read back` }
  }
  if (found.kind === 'unverified' && options.readBack === 'never') return found
  const read = await compareBytes(endpoint.http, url, file, signal)
  return read.kind === 'same' ? presentOf(read, medium) : read
}

const presentOf = (
  { verifiedBy, evidence }: { readonly verifiedBy: string; readonly evidence: ContentEvidence },
  medium: Medium,
) => ({ kind: 'present', verifiedBy, evidence, ...medium }) as const

const placeText = (place: Archived) => (place.kind === 'locality' ? place.locality : place.reason)

/**
 * The endpoint's Tape REST API; null where it has none. @throws TransientError also when only its absence is seen,
 * and the request with this reference was made through it.
 */
async function tapeRestOf(
  endpoint: Endpoint,
  reference: string | null,
  signal: AbortSignal,
): Promise<TapeRest | null> {
  const system = await endpoint.tapeSystem(signal)
  if (system.kind === 'api') return system.rest
  if (system.since !== null && reference !== null)
    throw disappeared(endpoint.places.root, 'a file was staged through it')
  return null
}

/** As TapeDriver.stage. The reference is the id of a stage request. */
export async function stageFile(
  endpoint: Endpoint,
  file: TapeFile,
  options: { readonly reference: string | null; readonly lifetimeSeconds: number; readonly round?: Round },
  signal: AbortSignal,
): Promise<StageResult> {
  const name = await nameInUse(endpoint, file, signal)
  if (name === null) throw new InvalidInputError(`the tape endpoint has no ${file.name}`)
  const { reference: before } = options
  const rest = await tapeRestOf(endpoint, before, signal)
  if (rest === null) return { kind: 'online', reference: null }
  const path = endpoint.places.path(name)
  if (before !== null) {
    const state = await requestState(rest, before, path, signal, options.round)
    if (state.kind === 'online') return { kind: 'online', reference: before }
    if (state.kind === 'waiting') return { kind: 'staging', reference: before, reason: state.reason }
    endpoint.log?.warn({ name, request: before, reason: state.reason }, `tape-stage-${state.kind}`)
    await refuseWhatIsLost(rest, path, signal)
    if (state.kind === 'failed') return { ...state, reference: null }
  } else await refuseWhatIsLost(rest, path, signal)
  // A file that is already on disk is requested as well, because the request keeps it there.
  const reference = await rest.stage([path], options.lifetimeSeconds, signal)
  const state = await rest.staged(reference, path, signal).catch((error: unknown) => unknownState(error))
  if (state.kind === 'online') return { kind: 'online', reference }
  if (state.kind === 'failed') return { ...state, reference: null }
  // A tape system may need a moment until it knows its new request.
  return { kind: 'staging', reference, reason: state.reason }
}

/** As TapeDriver.stageAll. Of files with the same name in different buckets the first is requested. */
export async function stageFiles(
  endpoint: Endpoint,
  files: readonly TapeFile[],
  { lifetimeSeconds, checkSeconds }: { readonly lifetimeSeconds: number; readonly checkSeconds: number },
  signal: AbortSignal,
): Promise<StagedTogether | null> {
  const rest = await tapeRestOf(endpoint, null, signal)
  if (rest === null) return null
  // Some servers refuse all files of a request if one is missing.
  const names = await checkEach(files, (file) => nameInUse(endpoint, file, signal), checkSeconds, signal)
  const named = new Map<string, { readonly path: string; readonly file: TapeFile }>()
  for (const [file, name] of names) {
    const path = name === null ? null : endpoint.places.path(name)
    if (path !== null && !named.has(nameOfFile(path))) named.set(nameOfFile(path), { path, file })
  }
  const requested = await withoutLost(rest, [...named.values()], signal)
  if (requested.length === 0) return null
  const paths = requested.map(({ path }) => path)
  const reference = await rest.stage(paths, lifetimeSeconds, signal)
  const inRequest = new Set(requested.map(({ file }) => file))
  return {
    reference,
    files: [...inRequest],
    leftOut: [...names.keys()].filter((file) => !inRequest.has(file)),
  }
}

/** Paths that the tape system is asked about at a time. */
const PATHS_AT_ONCE = 100

/** Without those that `stage` refuses, or whose state is not clear. */
async function withoutLost<Named extends { readonly path: string }>(
  rest: TapeRest,
  named: readonly Named[],
  signal: AbortSignal,
): Promise<readonly Named[]> {
  const kept: Named[] = []
  for (let at = 0; at < named.length; at += PATHS_AT_ONCE) {
    const some = named.slice(at, at + PATHS_AT_ONCE)
    const places = await rest.archiveInfos(
      some.map(({ path }) => path),
      signal,
    )
    for (const each of some) {
      const place = places.get(each.path)
      if (place !== undefined && refusalOfStaging(place, each.path) === null) kept.push(each)
    }
  }
  return kept
}

/** The request was made: its reference must not be lost because its state cannot be determined now. */
const unknownState = (error: unknown) =>
  ({ kind: 'waiting', reason: `requested; ${withoutSecrets(classify(error).message)}` }) as const

/**
 * The state of a stage request. A COMPLETED request stays so after its lifetime ended and the file has left
 * the disk.
 */
async function requestState(
  rest: TapeRest,
  reference: string,
  path: string,
  signal: AbortSignal,
  round?: Round,
): Promise<Staged> {
  const state = await rest.staged(reference, path, signal, round)
  if (state.kind !== 'online') return state
  const place = await rest.archiveInfo(path, signal)
  const isGone = place.kind === 'locality' && place.locality === 'TAPE'
  return isGone ? { kind: 'over', reason: 'it was on disk, and is on tape only again' } : state
}

/** As TapeDriver.release. */
export async function releaseFile(
  endpoint: Endpoint,
  file: TapeFile,
  reference: string,
  signal: AbortSignal,
  round?: Round,
): Promise<void> {
  const system = await endpoint.tapeSystem(signal)
  if (system.kind === 'none') return
  const { rest } = system
  const path = endpoint.places.path((await nameInUse(endpoint, file, signal)) ?? file.name)
  const before = await rest.staged(reference, path, signal, round)
  // Any other state may have changed since it was read in this round.
  const state =
    before.kind === 'online' || round === undefined ? before : await rest.staged(reference, path, signal)
  // A release before the file is on disk would not stop the staging.
  if (state.kind === 'waiting') await rest.cancel(reference, [path], signal)
  if (state.kind === 'online') await rest.release(reference, [path], signal)
}

/**
 * @throws InvalidInputError when the file is lost, TransientError when it cannot be read at present or the
 * tape system cannot answer for it.
 */
async function refuseWhatIsLost(rest: TapeRest, path: string, signal: AbortSignal): Promise<void> {
  const refused = refusalOfStaging(await rest.archiveInfo(path, signal), path)
  if (refused !== null) throw refused
}

function refusalOfStaging(place: Archived, path: string): InvalidInputError | TransientError | null {
  // The text of the error is free: it may be a lasting one or that of a server which is starting up.
  if (place.kind === 'error')
    return new TransientError(`the tape system reports for ${path}: ${place.reason}`, { missing: true })
  if (place.kind !== 'locality') return null
  if (place.locality === 'LOST') return new InvalidInputError(`the tape system has lost ${path} (LOST)`)
  return place.locality === 'UNAVAILABLE'
    ? new TransientError(`the tape system cannot read ${path} at present (UNAVAILABLE)`, { missing: true })
    : null
}

/**
 * Called when a HEAD found no file of this name: a PROPFIND must not find one either. Where the storage behind an
 * endpoint is not mounted, its root is an empty folder: so of a file that was there the folder must be described, and
 * the tape system must not know it.
 * @param wasThere `checked`: the catalogue has such a copy; `stated`: a caller asks for the file, whose name may never
 * have existed.
 * @throws TransientError when one of them does, or when the server is not known to be the endpoint.
 */
export async function assertAbsent(
  endpoint: Endpoint,
  name: string,
  wasThere: 'no' | 'stated' | 'checked',
  signal: AbortSignal,
): Promise<void> {
  const { http, places } = endpoint
  await assertRootExists(endpoint, signal)
  if ((await findProperties(http, places.url(name), 0, signal)) !== null)
    throw new TransientError(`${places.root.host} answers in two ways whether it has ${name}`)
  if (wasThere === 'no') return
  const folder = `${places.root.href}${encodedName(folderOf(name))}`
  if (wasThere === 'checked' && (await findProperties(http, folder, 0, signal)) === null)
    throw new TransientError(
      `${places.root.host} has no folder ${folderOf(name)} in which ${name} was: its storage may not be mounted`,
    )
  const place = await placeOf(endpoint, await endpoint.tapeSystem(signal), name, signal)
  if (place?.kind === 'locality' && HAVE_IT.includes(place.locality))
    throw new TransientError(
      `${places.root.host} does not find ${name}, which its tape system has (${place.locality}): its storage may not be mounted`,
    )
}

/** What the tape system reports of a file that exists. */
const HAVE_IT: readonly Locality[] = ['DISK', 'TAPE', 'DISK_AND_TAPE', 'UNAVAILABLE']

/**
 * The name of the file at the endpoint: its own, else that of the oldest layout, without the bucket, for runs
 * that were copied before Cygnet. Null when neither exists.
 */
export async function nameInUse(
  endpoint: Endpoint,
  file: TapeFile,
  signal: AbortSignal,
): Promise<string | null> {
  if ((await sizeAt(endpoint.http, endpoint.places.url(file.name), signal)) !== null) return file.name
  const older = file.name.slice(file.name.indexOf('/') + 1)
  const isOlder =
    older.includes('/') &&
    (await sizeAt(endpoint.http, endpoint.places.url(older), signal)) === file.sizeBytes
  if (isOlder) return older
  await assertAbsent(endpoint, file.name, 'stated', signal)
  return null
}
