/**
 * Whether each file of a run has a verified copy in the store and on tape, after its copies were checked.
 * Pure.
 */
import { VERIFIED } from '../../catalogue/replica-states.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { timeText } from '../../time/text.ts'
import type { FileOfRun } from './files-of-run.ts'

export interface FileWithoutCopy extends RunId {
  readonly key: string
  /** One sentence for each place without a verified copy. */
  readonly why: readonly string[]
}

/**
 * The files without a copy in the store, or without one on the medium, that was verified just now. A copy
 * that Cygnet deleted from the store is not missed there.
 * @param verified ids of the copies that were verified.
 */
export function filesWithoutCopy(
  files: readonly FileOfRun[],
  verified: ReadonlySet<number>,
): readonly FileWithoutCopy[] {
  return files.flatMap(({ tag, runNumber, file, copies }) => {
    const inStore = copies.filter(({ kind }) => kind === 'cloud')
    const onTape = copies.filter(({ kind }) => kind === 'tape')
    const isInStore =
      copies.some(({ id, kind }) => kind !== 'tape' && verified.has(id)) ||
      inStore.some(({ state }) => state === 'deleted')
    const isOnTape = onTape.some(({ id, state }) => verified.has(id) && state === 'on-media')
    const why = [
      ...(isInStore ? [] : [`no verified copy in the store: ${statesOf(inStore, 'none is known')}`]),
      ...(isOnTape ? [] : [`no verified copy on tape: ${statesOf(onTape, 'none was requested yet')}`]),
    ]
    return why.length === 0 ? [] : [{ tag, runNumber, key: file.objectKey, why }]
  })
}

/**
 * States of the copies at one place. A copy that is verified by its row, but was not in this check, is "not
 * verified now".
 */
function statesOf(copies: readonly Replica[], none: string): string {
  const states = copies.map(({ state }) => (VERIFIED.includes(state) ? 'not verified now' : state))
  return states.length === 0 ? none : states.join(', ')
}

/** The state of a copy that cannot be checked from here. */
export function stateText({ kind, state, lastError: error, verifiedAt: at, deletedAt }: Replica): string {
  if (kind === 'local')
    return state === 'present' && at !== null
      ? `cannot be checked from here; reported ${timeText(at)} UTC`
      : 'cannot be checked from here'
  if (state === 'deleted') return `by Cygnet${deletedAt === null ? '' : `, ${timeText(deletedAt)} UTC`}`
  return error ?? STATE_TEXT[state] ?? 'not checked'
}

const STATE_TEXT: Partial<Record<Replica['state'], string>> = {
  requested: 'waits to be made',
  copying: 'being made',
  submitted: 'a service is making it',
  staging: 'being brought back from tape',
  deleting: 'being deleted by Cygnet',
  replaced: 'its place now holds other contents',
  expired: 'was brought back from tape; the recall has expired',
}
