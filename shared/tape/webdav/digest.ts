/**
 * Checksums that endpoints state: the Digest header of RFC 3230 and its registry, as StoRM, dCache and XRootD
 * send it.
 */
import type { TapeFile } from '../driver.ts'
import { adler32Of } from '../names.ts'

/**
 * The digests to request: tape systems store adler32. XRootD returns the first one requested, others the one
 * they have.
 */
export const WANTED_DIGESTS = 'adler32, md5;q=0.5'

export type Comparison =
  | { readonly kind: 'same'; readonly by: string }
  | { readonly kind: 'different'; readonly reason: string }
  /** No comparable checksum was stated. */
  | { readonly kind: 'unknown' }

/** Compares every checksum of the header with the file's. One mismatch outweighs any number of matches. */
export function compareDigest(
  header: string | null,
  file: Pick<TapeFile, 'adler32' | 'md5' | 'sha256'>,
): Comparison {
  const stated = (header ?? '').split(',').flatMap((item) => {
    const equals = item.indexOf('=')
    if (equals === -1) return []
    const algorithm = item.slice(0, equals).trim().toLowerCase()
    const value = item
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1')
    const known = KNOWN.get(algorithm)
    const hex = known?.read(value) ?? null
    return known === undefined || hex === null ? [] : [{ name: known.name, hex, expected: file[known.name] }]
  })
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

const KNOWN = new Map<
  string,
  { readonly name: 'adler32' | 'md5' | 'sha256'; readonly read: (text: string) => string | null }
>(
  Object.entries({
    adler32: { name: 'adler32', read: adler32Of },
    adler: { name: 'adler32', read: adler32Of },
    md5: { name: 'md5', read: (text) => hexOf(text, 16) },
    'sha-256': { name: 'sha256', read: (text) => hexOf(text, 32) },
  }),
)

/** Base64, as the RFC requires, or hex, as some endpoints write it; their lengths differ. */
function hexOf(text: string, bytes: number): string | null {
  if (/^[0-9a-f]+$/i.test(text) && text.length === 2 * bytes) return text.toLowerCase()
  if (!/^[0-9a-z+/]+={0,2}$/i.test(text)) return null
  const decoded = Buffer.from(text, 'base64')
  return decoded.length === bytes ? decoded.toString('hex') : null
}
