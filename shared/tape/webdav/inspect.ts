/**
 * Compares what is at an address with the expected file: by the checksum that the endpoint states, else by
 * reading it back.
 */
import { createHash } from 'node:crypto'
import { TransientError } from '../../errors.ts'
import type { ContentEvidence, TapeFile } from '../driver.ts'
import type { Answer } from '../http/exchange.ts'
import { refusal } from './answers.ts'
import { compareDigest, WANTED_DIGESTS } from './digest.ts'
import { discard, type TapeHttp } from './http.ts'
import { statedSize } from './properties.ts'
import { readBytes } from './read.ts'

/** Result of comparing the contents. */
type Compared<Evidence> =
  | {
      readonly kind: 'same'
      readonly evidence: Exclude<Evidence, 'existence'>
      readonly verifiedBy: string
      readonly bytesRead: number
    }
  | { readonly kind: 'different'; readonly evidence: Evidence; readonly reason: string }

export type Found =
  | { readonly kind: 'absent' }
  | Compared<'existence' | ContentEvidence>
  /** The size is right, and no checksum was stated. */
  | { readonly kind: 'unverified'; readonly reason: string }

/** An endpoint that first has to compute the checksum of a large file needs some minutes. */
const CHECKSUM_MS = 300_000

/** @throws TransientError when it cannot be determined. */
export async function inspect(
  http: TapeHttp,
  at: { readonly url: string; readonly file: TapeFile; readonly readBack: 'never' | 'if-needed' | 'always' },
  signal: AbortSignal,
): Promise<Found> {
  const { url, file, readBack } = at
  const head = await describe(http, url, file.name, signal)
  if (head === null) return { kind: 'absent' }
  if (head.sizeBytes !== file.sizeBytes) {
    await confirmSize(http, url, { name: file.name, sizeBytes: head.sizeBytes }, signal)
    return {
      kind: 'different',
      evidence: 'existence',
      reason: `it has ${head.sizeBytes} bytes instead of ${file.sizeBytes}`,
    }
  }
  const stated = compareDigest(head.digest, file, head.reprDigest)
  if (stated.kind === 'different')
    return { kind: 'different', evidence: 'stored-checksum', reason: stated.reason }
  if (stated.kind === 'same' && readBack !== 'always')
    return { kind: 'same', evidence: 'stored-checksum', verifiedBy: stated.by, bytesRead: 0 }
  if (readBack === 'never')
    return { kind: 'unverified', reason: 'it has the right size; the endpoint states no checksum' }
  return await compareBytes(http, url, file, signal)
}

/** Size and digest of the file; null when there is none. */
async function describe(http: TapeHttp, url: string, name: string, signal: AbortSignal) {
  const what = `the size and checksum of ${name}`
  const answer = await http.request(
    { method: 'HEAD', url, what, headers: WANTED_DIGESTS, silenceMs: CHECKSUM_MS },
    signal,
  )
  await discard(answer)
  if (answer.status === 404 || answer.status === 410) return null
  if (answer.status !== 200) throw await refusal(answer, what)
  const sizeBytes = statedLength(answer) ?? (await statedSize(http, url, signal))
  if (sizeBytes === null) throw new TransientError(`${answer.url.host} does not state the size of ${name}`)
  return { sizeBytes, digest: answer.header('digest'), reprDigest: answer.header('repr-digest') }
}

/**
 * A page that a gateway answers in place of the file has a length as well: another size than the file's counts
 * only if the properties of the file state the same.
 */
async function confirmSize(
  http: TapeHttp,
  url: string,
  { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<void> {
  const stated = await statedSize(http, url, signal)
  if (stated !== sizeBytes)
    throw new TransientError(
      `${new URL(url).host} states two sizes of ${name}: ${sizeBytes} and ${stated ?? 'none'} bytes`,
    )
}

function statedLength(answer: Answer): number | null {
  const text = answer.header('content-length') ?? ''
  return /^\d+$/.test(text) ? Number(text) : null
}

/**
 * The size of the file at an address; null when there is none. Used to watch a file grow: no checksum is
 * requested.
 */
export async function sizeAt(http: TapeHttp, url: string, signal: AbortSignal): Promise<number | null> {
  const what = `the size of ${new URL(url).pathname}`
  const answer = await http.request({ method: 'HEAD', url, what }, signal)
  await discard(answer)
  if (answer.status === 404 || answer.status === 410) return null
  if (answer.status !== 200) throw await refusal(answer, what)
  return statedLength(answer) ?? (await statedSize(http, url, signal))
}

export async function compareBytes(
  http: TapeHttp,
  url: string,
  file: TapeFile,
  signal: AbortSignal,
): Promise<Compared<'read'>> {
  const hash = createHash('sha256')
  for await (const chunk of readBytes(http, { url, file }, signal)) hash.update(chunk)
  const sha256 = hash.digest('hex')
  if (sha256 === file.sha256)
    return { kind: 'same', evidence: 'read', verifiedBy: 'sha256 read back', bytesRead: file.sizeBytes }
  return {
    kind: 'different',
    evidence: 'read',
    reason: `it has the SHA-256 ${sha256} instead of ${file.sha256}`,
  }
}
