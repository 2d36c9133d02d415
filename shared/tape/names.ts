/**
 * Names of copies: the same object has the same name at every endpoint, and other contents never take it
 * over.
 */
import { InvalidInputError } from '../errors.ts'
import type { ObjectName } from '../run.ts'

/** `<bucket>/<TAG>/<file>`, the layout of Rucio's scope and name. */
export const tapeName = (object: ObjectName): string => checkedName(`${object.bucket}/${object.key}`)

/**
 * The name of a copy whose proper one is taken by other contents (a run number used again, what another
 * system left): the beginning of its SHA-256 stands before the extensions, `<bucket>/<TAG>/run00012.<12
 * hex>.mid.gz`.
 */
export function alternateTapeName(object: ObjectName, sha256: string): string {
  const name = tapeName(object)
  const dot = name.indexOf('.', name.lastIndexOf('/'))
  const end = dot === -1 ? name.length : dot
  return `${name.slice(0, end)}.${sha256.slice(0, 12)}${name.slice(end)}`
}

/**
 * @throws InvalidInputError for a name that would lead out of the endpoint's root, or that no endpoint can
 * hold.
 */
export function checkedName(name: string): string {
  const segments = name.split('/')
  const wrong = segments.some((segment) => segment === '' || segment === '.' || segment === '..')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (wrong || /[\u0000-\u001f\u007f\\]/.test(name))
    throw new InvalidInputError(`"${name}" cannot be the name of a copy`)
  if (segments.some((segment) => Buffer.byteLength(segment) > 240))
    throw new InvalidInputError(`"${name}" is too long a name for a copy`)
  return name
}

/** Whether the last part of a name is that of an unfinished copy, of any driver. */
export const isTemporary = (segment: string): boolean => /^\.cygnet-\d+-[0-9a-f]{12}\.part$/.test(segment)

/** The name as a URL path, each segment encoded, without a leading slash. */
export const encodedName = (name: string): string => name.split('/').map(encodeURIComponent).join('/')

/**
 * A checksum as endpoints write it (upper case, leading zeros left out) in our form: 8 lower-case hex digits;
 * null when it is none.
 */
export function adler32Of(text: string): string | null {
  const bare = text.trim().toLowerCase()
  return /^[0-9a-f]{1,8}$/.test(bare) ? bare.padStart(8, '0') : null
}
