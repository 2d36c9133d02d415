/**
 * What the `reference` of a recall leads back to, in the order of its life: the stage request at the tape
 * endpoint, then besides it the unfinished upload in the store, then the object that was verified.
 */
import type { Replica } from '../../database/replica-schema.ts'
import { InvalidInputError } from '../../errors.ts'

const UPLOAD = 'upload:'
/** Of a recall that was done: the object was verified as it came back. */
export const OBJECT_REFERENCE = 'object:'
/** Between an upload and the stage request that its bytes come from: in no id of an upload. */
const AND = '\n'
/** The column's size; what does not fit is not remembered. */
const LONGEST = 255

const remembered = (prefix: string, what: string): string | null =>
  prefix.length + what.length <= LONGEST ? prefix + what : null
const under = (prefix: string, { reference }: Pick<Replica, 'reference'>): string | null =>
  reference?.startsWith(prefix) === true ? reference.slice(prefix.length) : null

/**
 * Of both, where they do not fit together, the upload: its parts stay until it is given up, a staged file
 * goes by itself.
 * @param stage the endpoint's own reference; null where nothing is staged.
 */
export function uploadReference(uploadId: string, stage: string | null): string | null {
  const upload = remembered(UPLOAD, uploadId)
  if (upload === null || stage === null) return upload ?? stage
  return remembered(upload + AND, stage) ?? upload
}

/** A file that is online, and the upload that an earlier try has left. */
export function onlineReference(recall: Pick<Replica, 'reference'>, stage: string | null): string | null {
  const uploadId = uploadIdOf(recall)
  if (uploadId !== null) return uploadReference(uploadId, stage)
  return stage === null ? null : remembered('', stage)
}

export const objectReference = (etag: string) => remembered(OBJECT_REFERENCE, etag)

/** The id of the upload in parts that was begun and not seen to end. */
export const uploadIdOf = (recall: Pick<Replica, 'reference'>) =>
  under(UPLOAD, recall)?.split(AND, 1)[0] ?? null

/** The ETag of the object that was verified when the recall was done. */
export const verifiedEtagOf = (recall: Pick<Replica, 'reference'>) => under(OBJECT_REFERENCE, recall)

/**
 * @throws InvalidInputError when it cannot be remembered: every look would ask the endpoint for the file
 * anew.
 */
export function stageReference(reference: string): string {
  if (reference.length > LONGEST)
    throw new InvalidInputError(
      `the tape endpoint names a stage request with ${reference.length} characters, at most ${LONGEST} are kept`,
    )
  return reference
}

/** The endpoint's own reference. */
export function stageReferenceOf(recall: Pick<Replica, 'reference'>): string | null {
  const upload = under(UPLOAD, recall)
  if (upload === null) return verifiedEtagOf(recall) === null ? recall.reference : null
  const at = upload.indexOf(AND)
  return at === -1 ? null : upload.slice(at + AND.length)
}
