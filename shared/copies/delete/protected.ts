/**
 * What may be deleted by its name, and what never: asked right before every deletion, by the code that
 * deletes.
 */
import { InvalidInputError } from '../../errors.ts'
import type { ObjectName } from '../../run.ts'

/**
 * Below these prefixes, and nowhere else, objects may be deleted because of what they are called. They stand
 * in the code, not in the configuration: a slip there must not make runs into rubbish. A run is deleted as a
 * catalogued copy or not at all.
 */
export const CLEANABLE_PREFIXES = ['EVENTS/', 'TMP/'] as const
export type CleanablePrefix = (typeof CLEANABLE_PREFIXES)[number]

/**
 * The configured prefix that protects the object, or null. `/LAB`, `RECO/*` and `cygno-data/LAB/` are taken
 * as they are meant.
 */
export function protectingPrefix(object: ObjectName, prefixes: readonly string[]): string | null {
  return (
    prefixes.find((prefix) => {
      const meant = plainPrefix(prefix)
      return object.key.startsWith(meant) || `${object.bucket}/${object.key}`.startsWith(meant)
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

/** A prefix as keys begin: no slash in front, no star behind. */
export const plainPrefix = (prefix: string): string => prefix.replace(/^\/+/, '').replace(/\*+$/, '')
