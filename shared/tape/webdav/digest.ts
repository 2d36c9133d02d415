/**
 * Checksums that endpoints state: the Digest header of RFC 3230 and its registry, as StoRM, dCache and XRootD
 * send it, and its successor, the Repr-Digest of RFC 9530.
 */
import type { TapeFile } from '../driver.ts'
import { adler32Of } from '../names.ts'

/**
 * The digests to request: tape systems store adler32. XRootD returns the first one requested, others the one
 * they have. RFC 9530 weights them from 1 to 10 and names the adler32 `adler`.
 */
export const WANTED_DIGESTS = {
  'Want-Digest': 'adler32, md5;q=0.5',
  'Want-Repr-Digest': 'adler=10, md5=5, sha-256=3',
} as const

export type Comparison =
  | { readonly kind: 'same'; readonly by: string }
  | { readonly kind: 'different'; readonly reason: string }
  /** No comparable checksum was stated. */
  | { readonly kind: 'unknown' }

/**
 * Compares every checksum of the headers Digest and Repr-Digest with the file's. One mismatch outweighs any
 * number of matches.
 */
export function compareDigest(
  digest: string | null,
  file: Pick<TapeFile, 'adler32' | 'md5' | 'sha256'>,
  reprDigest: string | null = null,
): Comparison {
  const stated = [
    ...checksumsOf(digest, ({ read }, value) => read(value.replace(/^"(.*)"$/, '$1'))),
    ...checksumsOf(reprDigest, ({ bytes }, value) => byteSequence(value, bytes)),
  ].map(({ name, hex }) => ({ name, hex, expected: file[name] }))
  const wrong = stated.find(({ hex, expected }) => hex !== expected)
  if (wrong !== undefined)
    return {
      kind: 'different',
      reason: `the endpoint states the ${wrong.name} ${wrong.hex} instead of ${wrong.expected}`,
    }
  const [right] = stated
  return right === undefined
    ? { kind: 'unknown' }
    : { kind: 'same', by: `${right.name} stated by the endpoint` }
}

interface Algorithm {
  readonly name: 'adler32' | 'md5' | 'sha256'
  readonly bytes: number
  /** A value of the header Digest in hex; null when it is not one. */
  readonly read: (text: string) => string | null
}

const ADLER32: Algorithm = { name: 'adler32', bytes: 4, read: adler32Of }
const KNOWN = new Map<string, Algorithm>(
  Object.entries({
    adler32: ADLER32,
    adler: ADLER32,
    md5: { name: 'md5', bytes: 16, read: (text) => hexOf(text, 16) },
    'sha-256': { name: 'sha256', bytes: 32, read: (text) => hexOf(text, 32) },
  }),
)

/** The known checksums of a header of `algorithm=value`, separated by commas, which no value contains. */
const checksumsOf = (
  header: string | null,
  read: (algorithm: Algorithm, value: string) => string | null,
): { readonly name: Algorithm['name']; readonly hex: string }[] =>
  (header ?? '').split(',').flatMap((item) => {
    const equals = item.indexOf('=')
    const known = equals === -1 ? undefined : KNOWN.get(item.slice(0, equals).trim().toLowerCase())
    const hex = known === undefined ? null : read(known, item.slice(equals + 1).trim())
    return known === undefined || hex === null ? [] : [{ name: known.name, hex }]
  })

/** So many bytes in the form of a structured field (RFC 9651 §3.3.5), `:base64:`, possibly with parameters. */
function byteSequence(value: string, bytes: number): string | null {
  const base64 = /^:([0-9a-z+/]*={0,2}):(?: *;.*)?$/i.exec(value)?.[1]
  const decoded = Buffer.from(base64 ?? '', 'base64')
  return decoded.length === bytes ? decoded.toString('hex') : null
}

/** Base64, as the RFC requires, or hex, as some endpoints write it; their lengths differ. */
function hexOf(text: string, bytes: number): string | null {
  if (/^[0-9a-f]+$/i.test(text) && text.length === 2 * bytes) return text.toLowerCase()
  if (!/^[0-9a-z+/]+={0,2}$/i.test(text)) return null
  const decoded = Buffer.from(text, 'base64')
  return decoded.length === bytes ? decoded.toString('hex') : null
}
