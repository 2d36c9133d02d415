/**
 * Which objects may be deleted by their name, and which never. The deleting code checks it right before every
 * deletion.
 */
import { InvalidInputError } from '../../errors.ts'
import type { ObjectName } from '../../run.ts'

/**
 * Only objects below these prefixes may be deleted for their name. The list is in the code and not in the
 * configuration, so that a slip in the configuration cannot expose runs. A run is deleted as a catalogued
 * copy or not at all.
 */
export const CLEANABLE_PREFIXES = ['EVENTS/', 'TMP/'] as const
export type CleanablePrefix = (typeof CLEANABLE_PREFIXES)[number]

/**
 * The configured prefix that protects the object, or null. `/LAB`, `RECO/*` and `cygno-data/LAB/` are
 * accepted too.
 */
export function protectingPrefix(object: ObjectName, prefixes: readonly string[]): string | null {
  return (
    prefixes.find((prefix) => {
      const plain = plainPrefix(prefix)
      return object.key.startsWith(plain) || `${object.bucket}/${object.key}`.startsWith(plain)
    }) ?? null
  )
}

/** @throws InvalidInputError when the object is below a protected prefix. */
export function refuseProtected(object: ObjectName, prefixes: readonly string[]): void {
  const prefix = protectingPrefix(object, prefixes)
  if (prefix !== null)
    throw new InvalidInputError(
      `${object.bucket}/${object.key} is never deleted: "${prefix}" is protected (CYGNET_PROTECTED_PREFIXES)`,
    )
}

/** @throws InvalidInputError unless the object may be deleted by its name. */
export function refuseUncleanable(object: ObjectName, prefixes: readonly string[]): void {
  refuseProtected(object, prefixes)
  if (!CLEANABLE_PREFIXES.some((prefix) => object.key.startsWith(prefix)))
    throw new InvalidInputError(
      `${object.bucket}/${object.key} is not below ${CLEANABLE_PREFIXES.join(' or ')}: it is not deleted by its name`,
    )
}

/** The prefix as keys start: without leading slashes and trailing stars. */
export const plainPrefix = (prefix: string): string => prefix.replace(/^\/+/, '').replace(/\*+$/, '')
