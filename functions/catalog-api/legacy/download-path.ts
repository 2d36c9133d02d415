/**
 * Addresses of run files as they were used before: that of the Swift door of the store
 * (`/v1/AUTH_<project>/<bucket>/<key>`), that of its tenants (`/<tenant>:<bucket>/<key>`), the plain one of
 * S3 (`/<bucket>/<key>`), and `/<TAG>/run12345.mid.gz`. Pure.
 */
import { parseRunKey, type RunId } from '../../../shared/run.ts'

export interface WantedFile extends RunId {
  /** Null where the address names none: any bucket of runs. */
  readonly bucket: string | null
  readonly key: string
}

const SWIFT = /^v1\/AUTH_[\w-]+\/([^/]+)\/(.+)$/s
const TENANT = /^[\w-]+:([^/]+)\/(.+)$/s

/**
 * @param path decoded, without the slash before it. @param buckets of runs.
 * @returns null for an address that is not of a run file in one of the buckets.
 */
export function parseDownloadPath(path: string, buckets: readonly string[]): WantedFile | null {
  const { bucket, key } = placeOf(path, buckets)
  const run = parseRunKey(key)
  if (run === null || (bucket !== null && !buckets.includes(bucket))) return null
  return { bucket, key, tag: run.tag, runNumber: run.runNumber }
}

function placeOf(
  path: string,
  buckets: readonly string[],
): { readonly bucket: string | null; readonly key: string } {
  const [, bucket, key] = SWIFT.exec(path) ?? TENANT.exec(path) ?? []
  if (bucket !== undefined && key !== undefined) return { bucket, key }
  const plain = buckets.find((name) => path.startsWith(`${name}/`))
  return plain === undefined
    ? { bucket: null, key: path }
    : { bucket: plain, key: path.slice(plain.length + 1) }
}
