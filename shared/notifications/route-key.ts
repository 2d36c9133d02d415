/**
 * Which objects of a raw bucket are runs: decided from the key alone, in the same way for notifications and
 * listings.
 */
import { parseRunKey, type RunFileId } from '../run.ts'

/**
 * `misnamed`: looks like a run but does not have a run's name. A person must be alerted, since the run would
 * otherwise be lost unnoticed.
 */
export type Route =
  | { readonly kind: 'run'; readonly run: RunFileId }
  | { readonly kind: 'misnamed'; readonly reason: string }
  | { readonly kind: 'ignored' }

/** MIDAS writes `run00101.mid.crc32c` or `run00101.crc32c` next to a run. */
const SIDECAR = /\.(?:crc32c|md5|sha256|adler32)$/i
const LOOKS_LIKE_A_RUN = /\.mid(?:\.|_|$)|^run[ _-]?\d+/i
/** Temporary names of uploads by rsync, rclone and browsers. */
const TEMPORARY = /^\.|\.(?:part|partial|tmp|filepart|crdownload)$/i

export function routeKey(key: string, ignoredPrefixes: readonly string[]): Route {
  if (ignoredPrefixes.some((prefix) => key.startsWith(prefix))) return { kind: 'ignored' }
  const run = parseRunKey(key)
  if (run !== null) return { kind: 'run', run }
  const fileName = key.slice(key.lastIndexOf('/') + 1)
  if (SIDECAR.test(fileName) || TEMPORARY.test(fileName) || !LOOKS_LIKE_A_RUN.test(fileName))
    return { kind: 'ignored' }
  const named = key.includes('/') ? key : `<TAG>/${key}`
  return {
    kind: 'misnamed',
    reason: `"${key}" looks like a run but does not have the name of one: expected <TAG>/run<number>[sub<number>].mid[.gz|.lz4|.bz2], as in ${/\d/.test(named) ? 'LNGS/run12345.mid.gz' : named}`,
  }
}

/** Skips a prefix that never contains runs (there may be millions of single events). */
export function pastIgnored(key: string, ignoredPrefixes: readonly string[]): string {
  const ignored = ignoredPrefixes.find((prefix) => key.startsWith(prefix))
  return ignored === undefined ? key : `${ignored}\u{10FFFF}`
}
