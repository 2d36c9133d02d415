/**
 * A complete copy: written under a temporary name and compared there (fill.ts), renamed if no file has its
 * name, and checked once more.
 */
import { TransientError } from '../../errors.ts'
import type { CopyResult, TapeFile } from '../driver.ts'
import { refusal } from './answers.ts'
import type { Endpoint } from './endpoint.ts'
import { type Filling, fill, type Transfer } from './fill.ts'
import { discard } from './http.ts'
import { inspect, sizeAt } from './inspect.ts'
import { checkCopy, type Medium, mediumNow } from './media.ts'
import { temporaryName } from './places.ts'
import { tidy } from './remove.ts'

const CHECK_OPTIONS = { reference: null, readBack: 'if-needed' } as const

/** As TapeDriver.copy. */
export async function copyFile(
  endpoint: Endpoint,
  { file, ...wanted }: Omit<Filling, 'temporary'>,
  signal: AbortSignal,
): Promise<CopyResult> {
  const url = endpoint.places.url(file.name)
  const before = await checkCopy(endpoint, file, CHECK_OPTIONS, signal)
  if (before.kind !== 'absent') return resultOf(file, before, { how: 'streamed', bytesThroughUs: 0 })
  const temporary = endpoint.places.url(temporaryName(file))
  const transfer = await fill(endpoint, { ...wanted, file, temporary }, signal)
  const failure = await move(endpoint, { file, url, temporary }, signal)
  return failure === null
    ? await confirmed(endpoint, { file, url, transfer }, signal)
    : await resultAfterFailedMove(endpoint, { file, temporary, transfer, failure }, signal)
}

type FoundHere = Awaited<ReturnType<typeof checkCopy>>

/** The result of a copy whose name is already taken. */
function resultOf(
  file: TapeFile,
  found: FoundHere,
  { how, bytesThroughUs }: Pick<Transfer, 'how' | 'bytesThroughUs'>,
): CopyResult {
  if (found.kind === 'different') return { kind: 'occupied', reason: found.reason }
  if (found.kind === 'present') {
    return { ...found, kind: 'stored', how, bytesThroughUs }
  }
  throw new TransientError(`${file.name}: ${found.kind === 'absent' ? 'it disappeared again' : found.reason}`)
}

/**
 * Used once the copy exists: while the tape system cannot report whether it is on media, it counts as not on
 * media, and is checked again later.
 */
async function mediaNow(endpoint: Endpoint, file: TapeFile, signal: AbortSignal): Promise<Medium> {
  return await mediumNow(endpoint, file, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    endpoint.log?.warn({ name: file.name, error }, 'tape-locality-unknown')
    return { onMedia: false }
  })
}

/**
 * Renames the compared copy to its final name. Null when the endpoint confirms it, else the error; the rename
 * may have succeeded all the same. `Overwrite: F` protects another file with the name, but XRootD 5.5 ignores
 * that header, so the name is also checked just before.
 */
async function move(
  endpoint: Endpoint,
  { file, url, temporary }: { readonly file: TapeFile; readonly url: string; readonly temporary: string },
  signal: AbortSignal,
): Promise<TransientError | null> {
  const what = `giving ${file.name} its name`
  try {
    const headers = { Destination: await endpoint.destinationOf(file.name, signal), Overwrite: 'F' }
    if ((await sizeAt(endpoint.http, url, signal)) !== null)
      return new TransientError(`something has just taken the name ${file.name}`)
    const answer = await endpoint.http.request({ method: 'MOVE', url: temporary, what, headers }, signal)
    if (![200, 201, 204].includes(answer.status)) return await refusal(answer, what)
    await discard(answer)
    return null
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TransientError) return error
    throw error
  }
}

/** The last check, of the copy under its final name. */
async function confirmed(
  endpoint: Endpoint,
  { file, url, transfer }: { readonly file: TapeFile; readonly url: string; readonly transfer: Transfer },
  signal: AbortSignal,
): Promise<CopyResult> {
  const found = await inspect(endpoint.http, { url, file, readBack: 'never' }, signal)
  // Where no checksum is stated, the same bytes were read back under the temporary name just before.
  if (found.kind === 'same' || found.kind === 'unverified')
    return { kind: 'stored', ...transfer, ...(await mediaNow(endpoint, file, signal)) }
  const reason = found.kind === 'absent' ? 'nothing is there' : found.reason
  throw new TransientError(`${file.name} was compared, and differs under its final name: ${reason}`)
}

/** The rename failed or its answer was lost: the file that has the name now shows which. */
async function resultAfterFailedMove(
  endpoint: Endpoint,
  move: {
    readonly file: TapeFile
    readonly temporary: string
    readonly transfer: Transfer
    readonly failure: TransientError
  },
  signal: AbortSignal,
): Promise<CopyResult> {
  const { file, temporary, transfer, failure } = move
  const found = await checkCopy(endpoint, file, CHECK_OPTIONS, signal)
  if (found.kind === 'absent') throw failure
  await tidy(endpoint, temporary)
  return resultOf(file, found, transfer)
}
