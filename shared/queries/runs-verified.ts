/** Since when the copies of runs are verified: one query for a whole list of runs. */
import type { Database } from '../database/connect.ts'
import type { ShownCopy } from '../database/replica-schema.ts'
import { NOT_VERIFIED, type RunVerified, runVerified, type Verified } from './verified-now.ts'

/** By the ids of runs. */
export type RunsVerified = (runId: number) => RunVerified

/** @param runIds of a page of a list, a hundred or so. */
export async function runsVerified(database: Database, runIds: readonly number[]): Promise<RunsVerified> {
  if (runIds.length === 0) return () => NOT_VERIFIED
  const rows = await database
    .selectFrom('runFiles as file')
    .leftJoin('replicas as copy', (join) =>
      join
        .onRef('copy.runId', '=', 'file.runId')
        .onRef('copy.bucket', '=', 'file.bucket')
        .onRef('copy.objectKey', '=', 'file.objectKey')
        .onRef('copy.sha256', '=', 'file.sha256')
        .on('copy.kind', 'in', ['cloud', 'tape']),
    )
    .select([
      'file.runId',
      'file.id',
      'copy.kind',
      'copy.state',
      'copy.verifiedAt',
      'copy.verifiedEvidence',
      'copy.doubtedEvidence',
    ])
    .where('file.runId', 'in', runIds)
    .where('file.isLive', '=', true)
    .where('file.counts', '=', true)
    .execute()
  const byRun = new Map(
    [...Map.groupBy(rows, ({ runId }) => runId)].map(([runId, own]) => [
      runId,
      runVerified([...Map.groupBy(own, ({ id }) => id).values()].map((copies) => copies.flatMap(knownCopy))),
    ]),
  )
  return (runId) => byRun.get(runId) ?? NOT_VERIFIED
}

/** None of a file without a copy, which the join has one row without values for. */
const knownCopy = ({
  kind,
  state,
  ...evidence
}: Omit<Verified, 'state'> & {
  readonly kind: ShownCopy['kind'] | null
  readonly state: ShownCopy['state'] | null
}) => (kind === null || state === null ? [] : [{ kind, state, ...evidence }])
