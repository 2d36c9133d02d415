/** The copies of a verification, page by page: those that can be checked from here. */

import { createHash } from 'node:crypto'
import { VERIFIABLE, VERIFIABLE_STAGED } from '../../catalogue/replica-states.ts'
import type { Database } from '../../database/connect.ts'
import type { CopyState } from '../../database/replica-schema.ts'

export type VerifySelection =
  /** Every copy of a run, in every tag that has the number unless one is given. */
  | { readonly run: number; readonly tag?: string | undefined }
  /** This share of all copies, at least one where there is any. The same seed selects the same copies. */
  | { readonly sample: number; readonly seed: string }
  | { readonly all: true }

export interface SelectedReplica {
  readonly id: number
  readonly kind: 'cloud' | 'tape'
  readonly endpoint: string
}

const PAGE = 500

/** Copies on the DAQ's disk are left out: they cannot be checked from here. */
export async function* selectReplicas(
  database: Database,
  selection: VerifySelection,
  isStaging = false,
): AsyncGenerator<SelectedReplica> {
  if (!('sample' in selection))
    return yield* pages(database, selection, isStaging ? VERIFIABLE_STAGED : VERIFIABLE)
  let chosen = 0
  let lowest: { readonly replica: SelectedReplica; readonly number: number } | null = null
  for await (const replica of pages(database, { all: true }, VERIFIABLE)) {
    const number = sampleNumber(selection.seed, replica.identity)
    if (lowest === null || number < lowest.number) lowest = { replica, number }
    if (number >= selection.sample) continue
    chosen += 1
    yield replica
  }
  if (chosen === 0 && lowest !== null) yield lowest.replica
}

/**
 * All generations of the run number: contents that a later run replaced in the store may still be on tape.
 */
function generationsOf(
  database: Database,
  { run, tag }: { readonly run: number; readonly tag?: string | undefined },
) {
  const uses = database.selectFrom('runs').select('id').where('runNumber', '=', run)
  return tag === undefined ? uses : uses.where('tag', '=', tag)
}

/** A number in [0, 1), computed from the seed and the copy. */
const sampleNumber = (seed: string, identity: Buffer) =>
  createHash('sha256').update(seed).update(identity).digest().readUIntBE(0, 6) / 2 ** 48

async function* pages(
  database: Database,
  selection: Exclude<VerifySelection, { sample: number }>,
  states: readonly CopyState[],
) {
  for (let after = 0; ; ) {
    let query = database
      .selectFrom('replicas')
      .select(['id', 'kind', 'endpoint', 'identity'])
      .where('id', '>', after)
      .where('kind', 'in', ['cloud', 'tape'])
      .where('state', 'in', states)
    if ('run' in selection) query = query.where('runId', 'in', generationsOf(database, selection))
    const page = await query.orderBy('id').limit(PAGE).execute()
    for (const replica of page) yield replica as typeof replica & SelectedReplica
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last.id
  }
}
