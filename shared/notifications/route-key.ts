/**
 * Which objects of a raw bucket are runs: decided from the key alone, the same way for notifications and for
 * listings.
 */
import { parseRunKey, type RunFileId } from '../run.ts'

/**
 * `misnamed` looks like a run but is not named like one: a human must hear of it, or a run is lost in
 * silence.
 */
export type Route =
  | { readonly kind: 'run'; readonly run: RunFileId }
  | { readonly kind: 'misnamed'; readonly reason: string }
  | { readonly kind: 'ignored' }

/** MIDAS writes `run00101.mid.crc32c` or `run00101.crc32c` beside a run. */
const SIDECAR = /\.(?:crc32c|md5|sha256|adler32)$/i
const LOOKS_LIKE_A_RUN = /\.mid(?:\.|_|$)|^run[ _-]?\d+/i
/** Uploads in progress of rsync, rclone and browsers. */
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
    reason: `"${key}" looks like a run but is not named like one: expected <TAG>/run<number>[sub<number>].mid[.gz|.lz4|.bz2], as in ${/\d/.test(named) ? 'LNGS/run12345.mid.gz' : named}`,
  }
}

/** Jumps over a prefix that never holds runs (single events come by the million). */
export function pastIgnored(key: string, ignoredPrefixes: readonly string[]): string {
  const ignored = ignoredPrefixes.find((prefix) => key.startsWith(prefix))
  return ignored === undefined ? key : `${ignored}\u{10FFFF}`
}
