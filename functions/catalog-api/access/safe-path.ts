/** Where a browser goes after it has signed in: a place of this site, never another one that a link names. */

const NOWHERE = 'https://nowhere.invalid'
const LONGEST = 2000
/** Would lead round in circles. */
const NOT_AFTERWARDS = ['/sign-in', '/signed-in', '/sign-out']

/**
 * The path, query and fragment that a text means to a browser; `/` when it means anything else: another site
 * (`//x`, `/\x`, `https://x`, `/.//x`), a script, something overlong. Browsers drop tabs and line breaks in
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
  // Slashes at the start name a host; something on the way may decode them.
  if (/^\/(?:\/|%2f|%5c)/i.test(pathname) || NOT_AFTERWARDS.includes(pathname)) return '/'
  const path = `${pathname}${search}${hash}`
  // Longer than it was, where letters had to be escaped.
  return path.length > LONGEST ? '/' : path
}
