/**
 * The token of a store. MinIO sends it as `Authorization: Bearer <token>`; Ceph, which sends no headers, as the
 * topic's OpaqueData in each record of the body. As the last segment of the path it is accepted as well, but proxies
 * and gateways write paths to their logs.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'

export interface Credentials {
  ofRequest(authorization: string | undefined, path: string): boolean
  /** Every record has the token: one without it came in another way. */
  ofBody(text: string): boolean
}

const BEARER = /^Bearer +(\S+) *$/i
const body = z.object({ Records: z.array(z.object({ opaqueData: z.string() })).min(1) })

/**
 * Tokens are compared by their digests, which have the same length, in constant time: the time of the answer does not
 * reveal how much of a guess was right.
 */
export function createCredentials(token: string): Credentials {
  const expected = digest(token)
  const matches = (given: string) => timingSafeEqual(digest(given), expected)
  return {
    ofRequest(authorization, path) {
      const [, bearer = ''] = BEARER.exec(authorization ?? '') ?? []
      const byHeader = matches(bearer)
      const byPath = matches(lastSegment(path))
      return byHeader || byPath
    },
    ofBody(text) {
      const tokens = opaqueDataOf(text)
      return tokens.length > 0 && tokens.map(matches).every(Boolean)
    },
  }
}

function opaqueDataOf(text: string): readonly string[] {
  try {
    return body.parse(JSON.parse(text)).Records.map(({ opaqueData }) => opaqueData)
  } catch {
    return []
  }
}

function lastSegment(path: string): string {
  const segment = path.slice(path.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
