/**
 * Links to the files of many runs at once, by what the catalogue says alone: three queries however many there
 * are, and no look into the store. What left the store or was replaced a moment ago may have a link that
 * leads nowhere, or to bytes with other checksums; `runLinks` looks first.
 */
import { sql } from 'kysely'
import type { TapeContext } from '../../context.ts'
import type { Database } from '../../database/connect.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { ObjectName, RunId } from '../../run.ts'
import { presignGet } from '../../storage/links.ts'
import { isRecalling, isStoreCopy, onTapeText, whereaboutsOf } from '../recall/whereabouts.ts'
import type { FileLink, LinkedFile } from './run-links.ts'

export type FileOfRun = RunId & FileLink

/**
 * The files that count of the current uses of these numbers, and these files themselves; what is not known is
 * left out.
 */
export async function catalogueLinks(
  context: Pick<TapeContext, 'database' | 'publicS3' | 'config'>,
  wanted: { readonly runs: readonly RunId[]; readonly files: readonly ObjectName[] },
  seconds: number,
  now: Date,
): Promise<readonly FileOfRun[]> {
  const files = await findFiles(context.database, wanted)
  const replicas = Map.groupBy(
    await copiesOf(
      context.database,
      files.map((file) => file.runId),
    ),
    contentName,
  )
  const valid = Math.min(Math.floor(seconds), context.config.store.linkSeconds)
  return await Promise.all(
    files.map(async ({ runId: _, versionId, ...file }): Promise<FileOfRun> => {
      const why = notThere(file, replicas.get(contentName({ ...file, objectKey: file.key })) ?? [])
      if (why !== null) return { ...file, ...why }
      const link = await presignGet(context.publicS3, file, {
        seconds: valid,
        now,
        fileName: file.fileName,
        versionId,
      })
      return { ...file, kind: 'link', ...link }
    }),
  )
}

type FoundFile = RunId & LinkedFile & { readonly runId: number; readonly versionId: string | null }

/** The runs and files that are named, or none. A file is found under whichever run it counts for. */
export async function findFiles(
  database: Database,
  { runs, files }: { readonly runs: readonly RunId[]; readonly files: readonly ObjectName[] },
): Promise<readonly FoundFile[]> {
  if (runs.length === 0 && files.length === 0) return []
  const query = database
    .selectFrom('runs as r')
    .innerJoin('runFiles as f', 'f.runId', 'r.id')
    .select(['r.id as runId', 'r.tag', 'r.runNumber', 'f.bucket', 'f.objectKey as key', 'f.versionId'])
    .select(['f.sizeBytes', 'f.md5', 'f.adler32', 'f.sha256', 'f.subrun'])
    .where('r.isCurrent', '=', true)
    .where('f.isLive', '=', true)
  const ofRuns = [...Map.groupBy(runs, (run) => run.tag)].map(([tag, own]) =>
    query
      .where('r.tag', '=', tag)
      .where(
        'r.runNumber',
        'in',
        own.map((run) => run.runNumber),
      )
      .execute(),
  )
  const named = [...Map.groupBy(files, (file) => file.bucket)].map(([bucket, own]) =>
    query
      .where('f.bucket', '=', bucket)
      .where(
        'f.objectKey',
        'in',
        own.map((file) => file.key),
      )
      .execute(),
  )
  const rows = (await Promise.all([...ofRuns, ...named])).flat()
  const unique = [...new Map(rows.map((row) => [`${row.bucket}/${row.key}`, row])).values()]
  return unique
    .toSorted(
      (a, b) =>
        compare(a.tag, b.tag) ||
        a.runNumber - b.runNumber ||
        (a.subrun ?? 0) - (b.subrun ?? 0) ||
        compare(a.key, b.key),
    )
    .map(({ subrun: _, ...row }) => ({ ...row, fileName: row.key.slice(row.key.lastIndexOf('/') + 1) }))
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b))

async function copiesOf(database: Database, runIds: readonly number[]): Promise<readonly Replica[]> {
  if (runIds.length === 0) return []
  return await database
    .selectFrom('copies')
    .selectAll()
    .where('runId', 'in', [...new Set(runIds)])
    .where('kind', '!=', sql.lit('local' as const))
    .execute()
}

const contentName = ({ bucket, objectKey, sha256 }: Pick<Replica, 'bucket' | 'objectKey' | 'sha256'>) =>
  `${bucket}/${objectKey}\0${sha256}`

type NotThere =
  | Pick<Extract<FileLink, { kind: 'recalling' }>, 'kind' | 'state' | 'requestedAt' | 'detail'>
  | { readonly kind: 'on-tape'; readonly how: string }
  | { readonly kind: 'unavailable'; readonly why: string }

/** Why there is no link, by the copies of these contents; null when they are in the store. */
function notThere(file: LinkedFile, copies: readonly Replica[]): NotThere | null {
  const suspicious = copies.find((copy) => copy.kind !== 'tape' && copy.state === 'suspicious')
  if (suspicious !== undefined)
    return {
      kind: 'unavailable',
      why: `its contents are suspicious: ${suspicious.lastError ?? 'they are not what they were'}`,
    }
  const recall = copies.find((copy) => copy.kind === 'recall')
  if (copies.some((copy) => copy.kind === 'cloud' && copy.state === 'present') || recall?.state === 'present')
    return null
  if (recall !== undefined && isRecalling(recall))
    return {
      kind: 'recalling',
      state: recall.state,
      requestedAt: recall.requestedAt,
      detail: recall.lastError,
    }
  const where = whereaboutsOf(copies, true)
  if (where.kind === 'on-tape')
    return {
      kind: 'on-tape',
      how: onTapeText(copies.some((copy) => isStoreCopy(copy) && copy.state === 'missing')),
    }
  return { kind: 'unavailable', why: 'why' in where ? where.why : `${file.fileName} is not in the store` }
}
