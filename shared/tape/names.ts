/**
 * Names of copies. An object has the same name at every endpoint, and a name is never reused for other
 * contents.
 */
import { InvalidInputError } from '../errors.ts'
import type { ObjectName } from '../run.ts'

/** `<bucket>/<TAG>/<file>`, the layout of Rucio's scope and name. */
export const tapeName = (object: ObjectName): string => checkedName(`${object.bucket}/${object.key}`)

/**
 * The alternate name of a copy, used when other contents already have the regular one (a reused run number, a
 * file of another system). The first digits of its SHA-256 precede the extensions:
 * `<bucket>/<TAG>/run00012.<12 hex>.mid.gz`.
 */
export function alternateTapeName(object: ObjectName, sha256: string): string {
  const name = tapeName(object)
  const dot = name.indexOf('.', name.lastIndexOf('/'))
  const end = dot === -1 ? name.length : dot
  return `${name.slice(0, end)}.${sha256.slice(0, 12)}${name.slice(end)}`
}

/**
 * @throws InvalidInputError for a name that leads out of the endpoint's root or that some endpoint cannot
 * store.
 */
export function checkedName(name: string): string {
  const segments = name.split('/')
  const wrong = segments.some((segment) => segment === '' || segment === '.' || segment === '..')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is rejected
  if (wrong || /[\u0000-\u001f\u007f\\]/.test(name))
    throw new InvalidInputError(`"${name}" cannot be the name of a copy`)
  if (segments.some((segment) => Buffer.byteLength(segment) > 240))
    throw new InvalidInputError(`"${name}" is too long for the name of a copy`)
  return name
}

/** Whether the last segment of a name is that of an unfinished copy, of any driver. */
export const isTemporary = (segment: string): boolean => /^\.cygnet-\d+-[0-9a-f]{12}\.part$/.test(segment)

/** The name as a URL path, each segment encoded, without a leading slash. */
export const encodedName = (name: string): string => name.split('/').map(encodeURIComponent).join('/')

/**
 * A checksum as endpoints write it (upper case, without leading zeros) in our form of 8 lower-case hex
 * digits; null when the text is not one.
 */
export function adler32Of(text: string): string | null {
  const bare = text.trim().toLowerCase()
  return /^[0-9a-f]{1,8}$/.test(bare) ? bare.padStart(8, '0') : null
}
