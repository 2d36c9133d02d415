/**
 * The files of a run that count, each with every copy of its contents: what people ask of a run by its
 * number.
 */
import { copiesOfFile, replicasOfRun } from '../../catalogue/replicas.ts'
import type { Database } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { RunFile } from '../../database/schema.ts'
import { findRuns } from '../../queries/runs.ts'
import type { RunId } from '../../run.ts'

export interface FileOfRun extends RunId {
  readonly file: RunFile
  readonly copies: readonly Replica[]
}

export interface FilesOfRun {
  readonly files: readonly FileOfRun[]
  /** Every copy of the run, those of contents that were replaced too. */
  readonly copies: readonly Replica[]
}

/** Under every use of the number, in every tag unless one is named. */
export async function filesOfRun(
  database: Database,
  run: { readonly run: number; readonly tag?: string | undefined },
): Promise<FilesOfRun> {
  const files: FileOfRun[] = []
  const copies: Replica[] = []
  for (const { id, tag, runNumber } of await findRuns(database, {
    runNumber: run.run,
    tag: run.tag,
  })) {
    const own = await replicasOfRun(database, id)
    copies.push(...own)
    for (const file of await liveFiles(database, id))
      files.push({ tag, runNumber, file, copies: copiesOfFile(file, own) })
  }
  return { files, copies }
}

const liveFiles = (database: Database, runId: number) =>
  database
    .selectFrom('runFiles')
    .selectAll()
    .where('runId', '=', runId)
    .where('isLive', '=', true)
    .orderBy('subrun')
    .orderBy('id')
    .execute()
