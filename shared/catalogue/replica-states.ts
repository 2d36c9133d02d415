/**
 * Every list of states of a copy. database/replica-schema.ts defines the states. Pure.
 */
import type { CopyState } from '../database/replica-schema.ts'

type States = readonly CopyState[]

/** Verified where it is: the copies that count. `deleting` does not count. */
export const VERIFIED: States = ['present', 'on-media']

/** There is a place to inspect, whatever its state is in the catalogue. */
export const VERIFIABLE: States = ['present', 'on-media', 'staged', 'missing', 'suspicious']

/** The same where copies are staged to be compared: one that was never proven is included. */
export const VERIFIABLE_STAGED: States = [...VERIFIABLE, 'planned']

/**
 * Begins the reason of a copy on tape that cannot be compared unless it is staged. That is no failure: it is
 * neither repeated nor alerted.
 */
export const UNPROVEN = 'unproven: '

/** A tape copy or recall in progress. */
export const IN_PROGRESS: States = ['requested', 'copying', 'submitted', 'staged', 'staging']

/** No copy is expected at its place: it is not made yet, or it has left. */
export const NOT_EXPECTED: States = ['planned', 'replaced', 'deleted']
/** Nothing was found wrong with it. */
export const INTACT: States = ['present', 'on-media', 'staged', 'deleting']

/** Its bytes or its place are wrong. */
export const WRONG: States = ['missing', 'suspicious']
export const FAILED_OR_WRONG: States = ['failed', ...WRONG]

/** No longer a copy, and none is expected. */
export const OVER: States = ['deleted', 'expired', 'replaced']

/** Verified on a disk; `deleting` until it is deleted. */
export const ON_DISK: States = ['present', 'deleting']
/** Takes up space in the store. */
export const IN_STORE: States = [...ON_DISK, 'suspicious']
/** Takes up space in the store, or should. */
export const SHOULD_BE_IN_STORE: States = [...IN_STORE, 'missing']
/** Known not to be in the store: the key holds other contents, or none. */
export const LEFT_STORE: States = ['replaced', 'deleted']

/** States of the row of a tape copy that is not on the medium yet; a task works on it. */
export const IN_WORK_ON_TAPE: States = ['planned', 'staged']
/** Requested on tape and not on the medium yet, as readers see it. */
export const NOT_ON_MEDIA: States = ['requested', 'copying', 'submitted', 'staged']
/** Tape copies, the nearest to being verified on the medium first. */
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
/** Verified at a tape endpoint; a copy on its disk buffer can be read as well. */
export const READABLE_ON_TAPE: States = ['on-media', 'staged']

/** A recall that waits or is in progress. */
export const RECALLING: States = ['requested', 'staging', 'copying']
/** A recall that requires the object in the store until it expires. */
export const RECALL_WANTED: States = [...IN_PROGRESS, 'present']

/** Every state that the view `copies` shows, in the order of a copy's life. */
export const SHOWN_STATES = [
  'requested',
  'copying',
  'submitted',
  'staging',
  'staged',
  'failed',
  'on-media',
  'present',
  'missing',
  'suspicious',
  'replaced',
  'deleting',
  'deleted',
  'expired',
] as const
