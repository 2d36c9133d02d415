/** The live files of a run number, each with every copy of its contents. */
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
  /** Every copy of the run, including those of replaced contents. */
  readonly copies: readonly Replica[]
}

/** For every generation of the number, in every tag unless one is given. */
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
