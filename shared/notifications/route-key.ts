/**
 * Which objects of a raw bucket are runs: decided from the key alone, in the same way for notifications and
 * listings.
 */
import { isTag, parseRunKey, type RunFileId, TAG_RULE } from '../run.ts'
import { quoted } from '../text.ts'
import { testIdOf } from './test-object.ts'

/**
 * `misnamed`: looks like a run but does not have a run's name. A person must be alerted, since the run would
 * otherwise be lost unnoticed.
 */
export type Route =
  | { readonly kind: 'run'; readonly run: RunFileId }
  | { readonly kind: 'misnamed'; readonly reason: string }
  | { readonly kind: 'ignored' }

/** MIDAS and others write `run00101.mid.crc32c` or `run00101.crc32c` next to a run. */
const CHECKSUM = /\.(?:crc32(?:c|zlib)?|adler32|(?:md5|sha(?:1|224|256|384|512))(?:sums?)?)$/i
/** MIDAS writes the ODB to `run00101.json`, `.xml` or `.odb`; scripts write logs and histograms. */
const BESIDE_A_RUN = /^run\d+(?:(?:sub|_)\d+)?\.(?:json|xml|odb|log|txt|root)$/i
const LOOKS_LIKE_A_RUN = /\.mid(?:\.|_|$)|^run[ _-]?\d+/i
/** Temporary names of uploads by rsync, rclone, Rucio, WinSCP and browsers, and locks. */
const TEMPORARY =
  /^\.|~$|\.(?:part|partial|te?mp|filepart|crdownload|(?:rucio\.)?upload|uploading|download|incomplete|lock|swp)$/i
const BY_PRODUCTS = [CHECKSUM, BESIDE_A_RUN, TEMPORARY]

export function routeKey(key: string, ignoredPrefixes: readonly string[]): Route {
  if (ignoredPrefixes.some((prefix) => key.startsWith(prefix))) return { kind: 'ignored' }
  const run = parseRunKey(key)
  if (run !== null) return { kind: 'run', run }
  const fileName = key.slice(key.lastIndexOf('/') + 1)
  if (testIdOf(key) !== null) return { kind: 'ignored' }
  if (BY_PRODUCTS.some((name) => name.test(fileName)) || !LOOKS_LIKE_A_RUN.test(fileName))
    return { kind: 'ignored' }
  const tag = key.slice(0, -fileName.length - 1)
  if (parseRunKey(`TAG/${fileName}`) !== null && tag !== '' && !isTag(tag))
    return { kind: 'misnamed', reason: `${quoted(key)} looks like a run, but of no tag: ${TAG_RULE}` }
  const named = key.includes('/') ? key : `<TAG>/${key}`
  return {
    kind: 'misnamed',
    reason: `${quoted(key)} looks like a run but does not have the name of one: expected <TAG>/run<number>[sub<number>].mid[.gz|.lz4|.bz2], as in ${/\d/.test(named) ? 'LNGS/run12345.mid.gz' : named}`,
  }
}

/** Skips a prefix that never contains runs (there may be millions of single events). */
export function pastIgnored(key: string, ignoredPrefixes: readonly string[]): string {
  const ignored = ignoredPrefixes.find((prefix) => key.startsWith(prefix))
  return ignored === undefined ? key : `${ignored}\u{10FFFF}`
}
