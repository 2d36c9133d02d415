/**
 * Every list of states of a copy, by the question that it answers. What each state means stands in
 * database/replica-schema.ts. Pure.
 */
import type { CopyState } from '../database/replica-schema.ts'

type States = readonly CopyState[]

/** Verified at its place: those that count. `deleting` is not among them. */
export const VERIFIED: States = ['present', 'on-media']

/** Where it can be inspected, whatever the catalogue believes of it. */
export const VERIFIABLE: States = ['present', 'on-media', 'staged', 'missing', 'suspicious']

/** A copy to tape or a recall that is being worked on; each knows all of them but one. */
export const UNDER_WAY: States = ['requested', 'copying', 'submitted', 'staged', 'staging']

/** Not what or where it was. */
export const WRONG: States = ['missing', 'suspicious']
export const FAILED_OR_WRONG: States = ['failed', ...WRONG]

/** No copy any more, and nobody expects one. */
export const OVER: States = ['deleted', 'expired', 'replaced']

/** On a disk, verified; `deleting` until it is not there. */
export const ON_DISK: States = ['present', 'deleting']
/** Takes up space in the store. */
export const IN_STORE: States = [...ON_DISK, 'suspicious']
/** Takes up space in the store, or should. */
export const SHOULD_BE_IN_STORE: States = [...IN_STORE, 'missing']
/** The store holds other contents under the key, or none, and that is known. */
export const LEFT_STORE: States = ['replaced', 'deleted']

/** The facts of a copy to tape that is not on the medium yet: a task works on it. */
export const IN_WORK_ON_TAPE: States = ['planned', 'staged']
/** Requested on tape, and not on the medium yet, as readers see it. */
export const NOT_ON_MEDIA: States = ['requested', 'copying', 'submitted', 'staged']
/** Of copies on tape, the one nearest to being verified on the medium first. */
export const NEAREST_TO_MEDIA_FIRST: States = [
  'on-media',
  'staged',
  'submitted',
  'copying',
  'requested',
  'failed',
]
/** On its way to tape. */
export const TO_TAPE: States = ['copying', 'submitted']
/** Verified at a tape endpoint: one on its disk buffer can be read just as well. */
export const READABLE_ON_TAPE: States = ['on-media', 'staged']

/** A recall that waits for work, or is worked on. */
export const RECALLING: States = ['requested', 'staging', 'copying']
/** A recall that wants the object in the store until its time is over. */
export const RECALL_WANTED: States = [...UNDER_WAY, 'present']
