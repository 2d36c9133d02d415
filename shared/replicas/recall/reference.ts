/**
 * What the `reference` of a recall leads back to, in the order of its life: the stage request at the tape endpoint, then the
 * unfinished upload in the store, then the object that was verified.
 */
import type { Replica } from '../../catalogue/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'

const UPLOAD = 'upload:'
const OBJECT = 'object:'
/** The column's size; what does not fit is not remembered. */
const LONGEST = 255

const remembered = (prefix: string, what: string): string | null => (prefix.length + what.length <= LONGEST ? prefix + what : null)
const under = (prefix: string, { reference }: Pick<Replica, 'reference'>): string | null =>
  reference?.startsWith(prefix) === true ? reference.slice(prefix.length) : null

export const uploadReference = (uploadId: string) => remembered(UPLOAD, uploadId)
export const objectReference = (etag: string) => remembered(OBJECT, etag)

/** The id of the upload in parts that was begun and not seen to end. */
export const uploadIdOf = (recall: Pick<Replica, 'reference'>) => under(UPLOAD, recall)

/** The ETag of the object that was verified when the recall was done. */
export const verifiedEtagOf = (recall: Pick<Replica, 'reference'>) => under(OBJECT, recall)

/** @throws InvalidInputError when it cannot be remembered: every look would ask the endpoint for the file anew. */
export function stageReference(reference: string): string {
  if (reference.length > LONGEST)
    throw new InvalidInputError(`the tape endpoint names a stage request with ${reference.length} characters, at most ${LONGEST} are kept`)
  return reference
}

/** The endpoint's own reference. */
export const stageReferenceOf = (recall: Pick<Replica, 'reference'>) =>
  uploadIdOf(recall) === null && verifiedEtagOf(recall) === null ? recall.reference : null
