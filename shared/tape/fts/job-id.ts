/** Computes the ids that FTS3 gives to jobs. */
import { createHash } from 'node:crypto'

/**
 * The root of FTS's own identifiers: `BASE_ID` in fts-rest-flask,
 * src/fts3rest/fts3rest/lib/JobBuilder_utils.py (https://github.com/cern-fts/fts-rest-flask).
 */
const FTS_ROOT = '01874efb-4735-4595-bc9c-591aef8240c9'

/**
 * The id of a job that was submitted with `id_generator: deterministic` and this `sid`: UUID5(UUID5(root,
 * VO), sid), as in `JobBuilder.__init__` of fts-rest-flask.
 */
export const ftsJobId = (vo: string, sid: string): string => uuid5(uuid5(FTS_ROOT, vo), sid)

/** RFC 9562 §5.5: the SHA-1 of the namespace's bytes and the name, with version and variant set. */
function uuid5(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
    .subarray(0, 16)
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
