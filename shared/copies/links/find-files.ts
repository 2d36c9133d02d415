/**
 * The query for links: the live files of runs, with the copies of their contents and their recall, in two
 * statements.
 */
import { sql } from 'kysely'
import type { Database } from '../../database/connect.ts'
import type { Copy, CopyState, ShownCopy, ShownRecall } from '../../database/replica-schema.ts'
import type { RunFile } from '../../database/schema.ts'
import type { ObjectName, RunId } from '../../run.ts'

/** A file in the catalogue; checksums in lower-case hex. */
export interface LinkedFile extends RunId, ObjectName {
  readonly fileName: string
  readonly sizeBytes: number
  readonly md5: string
  readonly adler32: string
  readonly sha256: string
  /** Why the file should be used with care: it is cut, disputed, unconfirmed, suspicious or does not count; else null. */
  readonly warning: string | null
  /** Its bytes differ from a checksum that was stated for them. */
  readonly disputed: boolean
}

export type FileLink = LinkedFile &
  (
    | { readonly kind: 'link'; readonly url: string; readonly expiresAt: Date }
    /** Being brought back from tape. `detail`: what it waits for, or the last error. */
    | {
        readonly kind: 'recalling'
        readonly state: CopyState
        readonly requestedAt: Date
        readonly detail: string | null
      }
    | { readonly kind: 'on-tape'; readonly how: string }
    | { readonly kind: 'unavailable'; readonly why: string }
  )

export interface FoundFile {
  readonly file: LinkedFile
  readonly runId: number
  /** False when the run number has a newer generation. */
  readonly isCurrent: boolean
  readonly etag: string
  readonly versionId: string | null
  /** Copies of these contents in the store and on tape, the oldest row first. */
  readonly copies: readonly Copy[]
  readonly recall: ShownRecall | undefined
}

/**
 * The files that count for the current generation of these runs, and the live files with these names whatever
 * their run; unknown ones are left out. In the order of tag, run number and subrun.
 */
export async function findFiles(
  database: Database,
  { runs = [], files = [] }: { readonly runs?: readonly RunId[]; readonly files?: readonly ObjectName[] },
): Promise<readonly FoundFile[]> {
  const live = database
    .selectFrom('runs as r')
    .innerJoin('runFiles as f', 'f.runId', 'r.id')
    .select('f.id')
    .where('f.isLive', '=', true)
  const ofRuns = live
    .where('r.isCurrent', '=', true)
    .where('f.counts', '=', true)
    .where((where) =>
      where.or(
        [...Map.groupBy(runs, (run) => run.tag)].map(([tag, own]) => {
          const numbers = own.map((run) => run.runNumber)
          return where.and([where('r.tag', '=', tag), where('r.runNumber', 'in', numbers)])
        }),
      ),
    )
  const named = live.where((where) =>
    where.or(
      [...Map.groupBy(files, (file) => file.bucket)].map(([bucket, own]) => {
        const keys = own.map((file) => file.key)
        return where.and([where('f.bucket', '=', bucket), where('f.objectKey', 'in', keys)])
      }),
    ),
  )
  const found = await database
    .selectFrom(ofRuns.union(named).as('wanted'))
    .innerJoin('runFiles as f', 'f.id', 'wanted.id')
    .innerJoin('runs as r', 'r.id', 'f.runId')
    .select(['r.id as runId', 'r.tag', 'r.runNumber', 'r.isCurrent', 'f.bucket', 'f.objectKey', 'f.etag'])
    .select(['f.versionId', 'f.sizeBytes', 'f.md5', 'f.adler32', 'f.sha256', 'f.subrun'])
    .select(['f.counts', 'f.complete', 'f.problem', 'f.integrity', 'f.warnings'])
    .execute()
  const rows = found.toSorted(
    (a, b) =>
      compare(a.tag, b.tag) ||
      a.runNumber - b.runNumber ||
      (a.subrun ?? 0) - (b.subrun ?? 0) ||
      compare(a.objectKey, b.objectKey),
  )
  const copies = Map.groupBy(
    await copiesOf(
      database,
      rows.map((row) => row.runId),
    ),
    contentName,
  )
  return rows.map((row) => {
    const { tag, runNumber, bucket, objectKey: key, sizeBytes, md5, adler32, sha256 } = row
    const { runId, isCurrent, etag, versionId } = row
    const fileName = key.slice(key.lastIndexOf('/') + 1)
    const own = copies.get(contentName(row)) ?? []
    const about = { warning: warningOf(row, own), disputed: row.integrity === 'mismatch' }
    return {
      file: { tag, runNumber, bucket, key, fileName, sizeBytes, md5, adler32, sha256, ...about },
      ...{ runId, isCurrent, etag, versionId },
      copies: own.filter((copy): copy is Copy => copy.kind !== 'recall'),
      recall: own.find((copy) => copy.kind === 'recall'),
    }
  })
}

/** In one sentence, which follows the name of the file. */
function warningOf(
  file: Pick<RunFile, 'counts' | 'complete' | 'problem' | 'integrity' | 'warnings'> & RunId,
  copies: readonly ShownCopy[],
): string | null {
  const suspicious = copies.find(({ kind, state }) => kind === 'cloud' && state === 'suspicious')
  const unconfirmed = file.warnings.find(({ code }) => code === 'etag-differs')
  const reasons = [
    ...(file.counts
      ? []
      : [`does not count for run ${file.runNumber} of ${file.tag}: another file has this part`]),
    ...(file.complete ? [] : [`is incomplete: ${file.problem ?? 'no reason known'}`]),
    ...(file.integrity === 'mismatch'
      ? ['is disputed: its bytes differ from a checksum stated for them']
      : []),
    ...(unconfirmed === undefined ? [] : [`is unconfirmed: ${unconfirmed.message}`]),
    ...(suspicious === undefined ? [] : [`is suspicious: ${suspicious.lastError ?? 'no reason known'}`]),
  ]
  return reasons.length === 0 ? null : reasons.join('; ')
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b))

async function copiesOf(database: Database, runIds: readonly number[]): Promise<readonly ShownCopy[]> {
  if (runIds.length === 0) return []
  const ofRuns = [...new Set(runIds)]
  const copies = database
    .selectFrom('copies')
    .selectAll()
    .select(sql<string | null>`NULL`.as('etag'))
    .where('runId', 'in', ofRuns)
    .where('kind', '!=', sql.lit('local' as const))
    .$castTo<ShownCopy>()
  const recalls = database
    .selectFrom('shownRecalls')
    .selectAll()
    .where('runId', 'in', ofRuns)
    .$castTo<ShownCopy>()
  return await copies.unionAll(recalls).orderBy('id').execute()
}

const contentName = ({ bucket, objectKey, sha256 }: Pick<Copy, 'bucket' | 'objectKey' | 'sha256'>) =>
  `${bucket}/${objectKey}\0${sha256}`
