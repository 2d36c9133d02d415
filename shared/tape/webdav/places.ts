/** Locations of files at an endpoint: addresses, paths, and the temporary names of copies. */
import { createHash } from 'node:crypto'
import { InvalidInputError } from '../../errors.ts'
import type { TapeFile } from '../driver.ts'
import { checkedName, encodedName } from '../names.ts'

export interface Places {
  /** The root, ending in a slash, without credentials. */
  readonly root: URL
  /**
   * The address of a file or folder below the root. @throws InvalidInputError for a name that leads out of
   * it.
   */
  url(name: string): string
  /** The path of a file at the endpoint, decoded, as the Tape REST API uses it. */
  path(name: string): string
}

/**
 * @throws InvalidInputError for an invalid address, or one with credentials or a query, which would end up in
 * logs and replicas.
 */
export function createPlaces(rootUrl: string): Places {
  const root = URL.parse(rootUrl.replace(/^dav(s?):/i, 'http$1:'))
  if (root === null || !/^https?:$/.test(root.protocol))
    throw new InvalidInputError('the address of the tape endpoint is invalid')
  if (root.username !== '' || root.password !== '')
    throw new InvalidInputError(
      'the address of the tape endpoint holds a password: the endpoint takes a token instead',
    )
  if (root.search !== '' || root.hash !== '')
    throw new InvalidInputError('the address of the tape endpoint ends in a query')
  if (!root.pathname.endsWith('/')) root.pathname += '/'
  const rootPath = decoded(root.pathname)
  if (rootPath === null)
    throw new InvalidInputError(
      'the path in the address of the tape endpoint is not percent-encoded correctly',
    )
  return {
    root,
    url: (name) => `${root.href}${encodedName(checkedName(name))}`,
    path: (name) => `${rootPath}${name}`,
  }
}

/** A percent-encoded text decoded; null when it is invalid. */
export function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

export const folderOf = (name: string): string => name.slice(0, name.lastIndexOf('/') + 1)

/**
 * The temporary name of a copy: the same for the same contents, so that what a crash left behind is found and
 * replaced, and different for other contents.
 */
export function temporaryName(file: TapeFile): string {
  const mark = createHash('sha256').update(`${file.name}\n${file.sha256}`).digest('hex').slice(0, 12)
  return `${folderOf(file.name)}.cygnet-${file.runNumber}-${mark}.part`
}
