/**
 * Whether a run is where it should be, after its copies were looked at: each file in the store and on tape.
 * Pure.
 */
import { VERIFIED } from '../../catalogue/replica-states.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunId } from '../../run.ts'
import { timeText } from '../../time/text.ts'
import type { FileOfRun } from './files-of-run.ts'

export interface Lacking extends RunId {
  readonly key: string
  /** A sentence for people, one for each place that has no verified copy. */
  readonly why: readonly string[]
}

/**
 * The files that have no copy in the store or none on the medium that was verified just now. One that was
 * deleted from the store by us is not wanted there.
 * @param verified ids of the copies that were.
 */
export function lackingCopies(
  files: readonly FileOfRun[],
  verified: ReadonlySet<number>,
): readonly Lacking[] {
  return files.flatMap(({ tag, runNumber, file, copies }) => {
    const inStore = copies.filter(({ kind }) => kind === 'cloud')
    const onTape = copies.filter(({ kind }) => kind === 'tape')
    const isInStore =
      copies.some(({ id, kind }) => kind !== 'tape' && verified.has(id)) ||
      inStore.some(({ state }) => state === 'deleted')
    const isOnTape = onTape.some(({ id, state }) => verified.has(id) && state === 'on-media')
    const why = [
      ...(isInStore ? [] : [`no verified copy in the store: ${statesOf(inStore, 'none is known')}`]),
      ...(isOnTape ? [] : [`no verified copy on tape: ${statesOf(onTape, 'none was asked for yet')}`]),
    ]
    return why.length === 0 ? [] : [{ tag, runNumber, key: file.objectKey, why }]
  })
}

/**
 * Of copies at one place. One that counted when it was written down, and does not by what was just seen, was
 * not verified now.
 */
function statesOf(copies: readonly Replica[], none: string): string {
  const states = copies.map(({ state }) => (VERIFIED.includes(state) ? 'not verified now' : state))
  return states.length === 0 ? none : states.join(', ')
}

/** What people should know of a copy that is not where it can be looked at from here. */
export function asCatalogued({ kind, state, lastError: error, verifiedAt: at, deletedAt }: Replica): string {
  if (kind === 'local')
    return state === 'present' && at !== null
      ? `not seen from here; noted ${timeText(at)} UTC`
      : 'not seen from here'
  if (state === 'deleted') return `by us${deletedAt === null ? '' : `, ${timeText(deletedAt)} UTC`}`
  return error ?? NOT_THERE[state] ?? 'not looked at'
}

const NOT_THERE: Partial<Record<Replica['state'], string>> = {
  requested: 'asked for, not made yet',
  copying: 'being made',
  submitted: 'a service is making it',
  staging: 'being brought back from tape',
  deleting: 'being deleted by us',
  replaced: 'its place holds other contents by now',
  expired: 'was brought back from tape for a while, which is over',
}
