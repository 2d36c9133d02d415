/** Which copies a verification is about, page by page: those that are where they can be looked at. */

import { createHash } from 'node:crypto'
import { VERIFIABLE } from '../../catalogue/replica-states.ts'
import type { Database } from '../../database/connect.ts'

export type VerifySelection =
  /** Every copy of a run, in every tag that has the number unless one is named. */
  | { readonly run: number; readonly tag?: string | undefined }
  /**
   * This share of all copies; the same seed chooses the same of the same copies. At least one is chosen where
   * there is any.
   */
  | { readonly sample: number; readonly seed: string }
  | { readonly all: true }

export interface SelectedReplica {
  readonly id: number
  readonly kind: 'cloud' | 'tape'
  readonly endpoint: string
}

const PAGE = 500

/** Copies on the DAQ's disk are left out: they are not seen from here. */
export async function* selectReplicas(
  database: Database,
  selection: VerifySelection,
): AsyncGenerator<SelectedReplica> {
  if (!('sample' in selection)) return yield* pages(database, selection)
  let chosen = 0
  let nearest: { readonly replica: SelectedReplica; readonly lot: number } | null = null
  for await (const replica of pages(database, { all: true })) {
    const lot = lotOf(selection.seed, replica.identity)
    if (nearest === null || lot < nearest.lot) nearest = { replica, lot }
    if (lot >= selection.sample) continue
    chosen += 1
    yield replica
  }
  if (chosen === 0 && nearest !== null) yield nearest.replica
}

/** All uses of the run number: what another run has overwritten in the store may be on tape still. */
function usesOf(
  database: Database,
  { run, tag }: { readonly run: number; readonly tag?: string | undefined },
) {
  const uses = database.selectFrom('runs').select('id').where('runNumber', '=', run)
  return tag === undefined ? uses : uses.where('tag', '=', tag)
}

/** A number in [0, 1) that follows from the seed and the copy. */
const lotOf = (seed: string, identity: Buffer) =>
  createHash('sha256').update(seed).update(identity).digest().readUIntBE(0, 6) / 2 ** 48

async function* pages(database: Database, selection: Exclude<VerifySelection, { sample: number }>) {
  for (let after = 0; ; ) {
    let query = database
      .selectFrom('replicas')
      .select(['id', 'kind', 'endpoint', 'identity'])
      .where('id', '>', after)
      .where('kind', 'in', ['cloud', 'tape'])
      .where('state', 'in', VERIFIABLE)
    if ('run' in selection) query = query.where('runId', 'in', usesOf(database, selection))
    const page = await query.orderBy('id').limit(PAGE).execute()
    for (const replica of page) yield replica as typeof replica & SelectedReplica
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last.id
  }
}
