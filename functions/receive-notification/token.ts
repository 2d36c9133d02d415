/** Who may send notifications. */
import { createHash, timingSafeEqual } from 'node:crypto'

const BEARER = /^Bearer +(\S+) *$/i

/**
 * Makes the check of a request's credentials: `Authorization: Bearer <token>` (MinIO, and whatever can send
 * headers), or the token as the last segment of the path (Ceph sends no header at all).
 */
export function createTokenCheck(
  token: string,
): (authorization: string | undefined, path: string) => boolean {
  const expected = digest(token)
  // Digests are of one length and compared in constant time: the answer tells nothing about how much of a
  // guess was right.
  const matches = (given: string) => timingSafeEqual(digest(given), expected)
  return (authorization, path) => {
    const [, bearer = ''] = BEARER.exec(authorization ?? '') ?? []
    const byHeader = matches(bearer)
    const byPath = matches(lastSegment(path))
    return byHeader || byPath
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
