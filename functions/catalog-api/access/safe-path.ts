/**
 * Where a browser goes after signing in: an address of this site, never one of another site that a link
 * names.
 */

const NOWHERE = 'https://nowhere.invalid'
const LONGEST = 2000
/** Redirecting to these would loop. */
const SIGN_IN_PATHS = ['/sign-in', '/signed-in', '/sign-out']

/**
 * The path, query and fragment of a text as a browser reads it; `/` for anything else: another site (`//x`,
 * `/\x`, `https://x`, `/.//x`), a script, or a text that is too long. Browsers drop tabs and line breaks in
 * addresses and read `\` as `/`.
 */
export function safePath(wanted: string | undefined): string {
  if (
    wanted === undefined ||
    wanted.length > LONGEST ||
    !wanted.startsWith('/') ||
    /[\\\p{Cc}\s]/u.test(wanted)
  )
    return '/'
  const url = URL.parse(wanted, NOWHERE)
  if (url === null || url.origin !== NOWHERE || url.username !== '') return '/'
  const { pathname, search, hash } = url
  // May be longer than the input, because characters were escaped.
  if (/^\/(?:\/|%2f|%5c)/i.test(pathname) || SIGN_IN_PATHS.includes(pathname)) return '/'
  const path = `${pathname}${search}${hash}`
  // Longer than it was, where letters had to be escaped.
  return path.length > LONGEST ? '/' : path
}
