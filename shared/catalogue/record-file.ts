/**
 * The one transaction that adds a file to the catalogue, or records that the newest version in the store is
 * unreadable.
 */
import type { Transaction } from 'kysely'
import { type Database, inTransaction } from '../database/connect.ts'
import type { CataloguedRun, DigestComparison, Integrity, RunFile, Schema } from '../database/schema.ts'
import type { FileMetadata } from '../extraction/metadata.ts'
import { type ObjectVersion, parseRunKey } from '../run.ts'
import { addRequests, type Request } from '../work/outbox.ts'
import { alert } from '../work/raise-alert.ts'
import { resolveRaised } from '../work/raised-alerts.ts'
import type { RunSummary } from './aggregate.ts'
import { type ArrivalLease, endAttempt, identityOf, lockVersions, namedRunOf } from './arrivals.ts'
import { findEarlierReadings, isConfirmed, recordContradiction } from './contradictions.ts'
import { type RunInput, recoRequest, tapeRequest } from './next-steps.ts'
import {
  type Content,
  hasCloudReplica,
  recordAbsentReplica,
  recordCloudReplica,
  replaceCloudReplicas,
} from './replicas.ts'
import {
  endedByFile,
  endedByReading,
  fileAlerts,
  reusedNumberAlert,
  sameContentsAlert,
} from './run-alerts.ts'
import { lockGenerations, lockRunForNewFile, lockRunOfFile } from './run-generations.ts'
import {
  addHistory,
  dateOf,
  findLiveFile,
  generationInRunlog,
  type RefreshedRun,
  refreshRun,
  supersedeFile,
} from './runs.ts'
import { settleCopyAlerts } from './settle-copy-alerts.ts'
import { settleHistory } from './take-over.ts'

type Trx = Transaction<Schema>

export interface FileToRecord {
  readonly lease: ArrivalLease
  readonly tag: string
  readonly version: ObjectVersion
  readonly metadata: FileMetadata
  readonly integrity: Integrity
  readonly comparisons: readonly DigestComparison[]
  /** What was catalogued of this version before, if these are other bytes that no stated checksum supports. */
  readonly contradicts: RunFile | null
  readonly priority: 'live' | 'backlog'
  /**
   * Older than the take-over time of its tag: nothing is requested and nobody is alerted, unless its run turns
   * out to have a new file.
   */
  readonly isHistory: boolean
}

export interface RecordOptions {
  readonly at: Date
  readonly recoMinimumEvents: number
  /**
   * Whether the version that was read is still the one in the store. Called under the lock of the object.
   */
  readonly stillCurrent: () => Promise<StillCurrent>
}

/** Whether the store still holds the version that was read; `deleted`: it holds no version. */
export type StillCurrent = 'yes' | 'no' | 'deleted'

/**
 * `superseded`: the store now holds another version, and nothing was written. `suspicious`: the object no longer
 * has the bytes that were catalogued of this version, and no file was changed.
 */
export type NotRecorded =
  | { readonly kind: 'superseded' }
  | { readonly kind: 'suspicious'; readonly reason: string; readonly requests: readonly Request[] }

export type Recorded =
  | {
      readonly kind: 'recorded'
      readonly run: CataloguedRun
      readonly summary: RunSummary
      readonly requests: readonly Request[]
      readonly reused: boolean
    }
  | NotRecorded

/**
 * Writes a file, its run, the Runlog row, the history and the requests that follow, and ends the arrival. Bytes
 * that contradict what is confirmed of this version are never recorded as its contents.
 */
export async function recordFile(
  database: Database,
  file: FileToRecord,
  options: RecordOptions,
): Promise<Recorded> {
  return await inTransaction(database, async (trx) => {
    const { at } = options
    const { version, metadata } = file
    const key = { tag: file.tag, runNumber: metadata.runNumber }
    const { current, versions } = await lockAndCheckCurrent(trx, version, options.stillCurrent)
    if (current === 'no') return { kind: 'superseded' }
    if (file.contradicts !== null && (await isConfirmed(trx, file.contradicts))) {
      const reason = `its md5 is ${metadata.checksums.md5} instead of ${file.contradicts.md5}`
      return await recordSuspicious(trx, { ...file, reason }, file.contradicts, current, at)
    }
    const locked = await lockRunForNewFile(
      trx,
      key,
      {
        bucket: version.bucket,
        key: version.key,
        subrun: metadata.subrun,
        startedEpoch: metadata.startedAt ?? 0,
        startTime: metadata.odb.start_time,
      },
      at,
    )
    const before = await findLiveFile(trx, version, true)
    const run: CataloguedRun = { id: locked.generation.id, ...key }
    const sameContent =
      before !== null && before.sha256 === metadata.checksums.sha256 && before.runId === run.id
    const reused = before !== null && before.runId !== run.id
    const otherContents = await countOtherContents(trx, version, metadata.checksums.sha256)
    if (before !== null) await supersedeFile(trx, before.id, at)
    const asRead = { ...file, isHistory: file.isHistory && before?.isHistory !== false }
    await insertFile(trx, asRead, run.id, at)
    const { isHistory, released } = await settleHistory(trx, locked.generation)
    const content = storedContent(file, run)
    // Contents that were in the store before may be deleted by Cygnet while they are read again. Hence the
    // second check, under the lock of the run.
    const inStore =
      current === 'yes' &&
      (!(await hasCloudReplica(trx, content)) || (await options.stillCurrent()) === 'yes')
    if (inStore) await recordCloudReplica(trx, content, verificationOf(file, at), at)
    else await recordAbsentReplica(trx, content, at)
    const refreshed = await refreshRun(trx, locked, { at, removed: before })
    if (before !== null && reused) await recordOverwritten(trx, before, file, at)
    const { complete, integrity } = locked.generation
    const sameRun =
      !refreshed.newContents && !sameContent && complete && integrity === refreshed.summary.integrity
    const next = nextSteps({ ...file, isHistory }, run, refreshed, {
      sameRun,
      otherContents,
      recoMinimumEvents: options.recoMinimumEvents,
    })
    const firstFile = locked.generation.fileCount === 0
    const twin = isHistory ? undefined : await findTwin(trx, run, metadata.checksums.sha256)
    if (twin !== undefined)
      next.requests.push(sameContentsAlert(run, version, twin, metadata.checksums.sha256))
    if (released > 0)
      next.notes.push({
        runId: run.id,
        what: 'history adopted',
        detail: 'it began after the take-over time, or a file of it is new',
      })
    if (!isHistory && (reused || (firstFile && locked.generations.length > 1)))
      next.requests.push(reusedNumberAlert(run, metadata.startedAt ?? 0, version))
    const what = before === null ? 'catalogued' : sameContent ? 'catalogued again' : 'replaced'
    await addHistory(trx, [{ runId: run.id, what, detail: historyLine(file) }, ...next.notes], at)
    await addRequests(trx, next.requests, at)
    const isFirst = file.lease.isNew && versions === 1 && before === null
    const known = { ...file, isHistory, inStore }
    const ended = isFirst ? [] : await endAlerts(trx, known, run, before, next.requests, at)
    const requests = [...next.requests, ...ended]
    await endAttempt(trx, file.lease, { state: 'done', outcome: 'catalogued' })
    return { kind: 'recorded', run, summary: refreshed.summary, requests, reused }
  })
}

/**
 * What was alerted about the object, or about the file that was under its key, and is over now. Of an object that was
 * deleted while it was read only that it could not be read; of history nobody was told what is wrong with it now.
 */
async function endAlerts(
  trx: Trx,
  { version, tag, isHistory, inStore }: FileToRecord & { readonly inStore: boolean },
  run: CataloguedRun,
  before: RunFile | null,
  alerts: readonly Request[],
  at: Date,
): Promise<readonly Request[]> {
  const named = { tag, runNumber: (parseRunKey(version.key) ?? run).runNumber }
  const summary = `${version.key} was read`
  if (!inStore)
    return await resolveRaised(trx, endedByReading(version, named, summary, ['arrival-failed']), at)
  const former =
    before === null || before.runId === run.id
      ? []
      : await trx
          .selectFrom('runs')
          .select(['id', 'tag', 'runNumber'])
          .where('id', '=', before.runId)
          .execute()
  const ended = endedByFile(version, named, isHistory ? [] : [run, ...former], alerts)
  const requests = [...(await resolveRaised(trx, ended, at))]
  // Of the same run: what another run had under the key was lost, and not replaced.
  const contents = await trx
    .selectFrom('replicas')
    .select('sha256')
    .where('bucket', '=', version.bucket)
    .where('objectKey', '=', version.key)
    .where('kind', '=', 'cloud')
    .where('runId', '=', run.id)
    .execute()
  for (const { sha256 } of contents)
    requests.push(...(await settleCopyAlerts(trx, { bucket: version.bucket, key: version.key, sha256 }, at)))
  return requests
}

async function recordSuspicious(
  trx: Trx,
  found: Parameters<typeof recordContradiction>[1],
  catalogued: RunFile,
  current: StillCurrent,
  at: Date,
): Promise<NotRecorded> {
  if (current !== 'yes') return { kind: 'superseded' }
  const requests = await recordContradiction(trx, found, catalogued, at)
  return { kind: 'suspicious', reason: found.reason, requests }
}

/**
 * The newest version of a file cannot be read: the arrival becomes invalid, and a version that was catalogued
 * before is no longer in the store. If this same version was read before, its bytes have changed, and what was
 * read counts.
 */
export async function recordInvalid(
  database: Database,
  file: {
    readonly lease: ArrivalLease
    readonly tag: string
    readonly runNumber: number
    readonly version: ObjectVersion
    readonly reason: string
    /** History is counted in the summary of its tag. */
    readonly isHistory: boolean
  },
  options: Pick<RecordOptions, 'at' | 'stillCurrent'>,
): Promise<{ readonly kind: 'invalid'; readonly requests: readonly Request[] } | NotRecorded> {
  return await inTransaction(database, async (trx) => {
    const { current } = await lockAndCheckCurrent(trx, file.version, options.stillCurrent)
    if (current === 'no') return { kind: 'superseded' }
    const { undisputed } = await findEarlierReadings(trx, file.version)
    if (undisputed !== null) {
      const reason = `its md5 is not ${undisputed.md5}, and it cannot be read: ${file.reason}`
      return await recordSuspicious(trx, { ...file, reason }, undisputed, current, options.at)
    }
    // First: the refreshed run counts its refused files.
    await endAttempt(trx, file.lease, { state: 'invalid', reason: file.reason, ...namedRunOf(file.version) })
    const before = await findLiveFile(trx, file.version, true)
    if (before !== null) {
      const problem = `the newest version of ${file.version.key} cannot be read: ${file.reason}`
      await supersedeFile(trx, before.id, options.at)
      await replaceCloudReplicas(trx, file.version, null, options.at)
      await addHistory(
        trx,
        [{ runId: before.runId, what: 'replaced by an unreadable file', detail: problem }],
        options.at,
      )
      await refreshRun(trx, await lockRunOfFile(trx, before, options.at), {
        at: options.at,
        removed: before,
        problem,
      })
    } else await recordRefusedFile(trx, file, options.at)
    const summary = `${file.version.key} is not a readable run: ${file.reason}`
    const ended = file.lease.isNew
      ? []
      : endedByReading(file.version, file, summary, ['arrival-failed', 'object-gone'])
    const requests = [...(await resolveRaised(trx, ended, options.at))]
    if (file.isHistory) return { kind: 'invalid', requests }
    const { bucket, key, sizeBytes } = file.version
    const alerted = alert({
      rule: 'invalid-file',
      severity: 'error',
      summary,
      facts: { sizeBytes },
      run: { id: before?.runId ?? null, tag: file.tag, runNumber: file.runNumber },
      object: { bucket, key },
      cause: identityOf(file.version).toString('hex'),
    })
    await addRequests(trx, [alerted], options.at)
    return { kind: 'invalid', requests: [...requests, alerted] }
  })
}

/** The history of its run, and the problem of one that only the logger recorded, states why it was refused. */
async function recordRefusedFile(
  trx: Trx,
  { tag, runNumber, version, reason }: Parameters<typeof recordInvalid>[1],
  at: Date,
): Promise<void> {
  const { generations } = await lockGenerations(trx, { tag, runNumber }, at)
  if (generations.length === 0) return
  const generation = generationInRunlog(generations)
  const problem = `${version.key} cannot be read: ${reason}`
  await addHistory(trx, [{ runId: generation.id, what: 'file refused', detail: problem }], at)
  await refreshRun(trx, { tag, runNumber, generation, generations }, { at, problem })
}

/**
 * Locks the object and returns whether the version that was read counts (`no`: it does not), and how many versions
 * the ledger has. The store is
 * asked under the lock in every case: the object may have been deleted or replaced while it was read, also
 * when no other version is in the ledger, and the transaction that commits last checked the store last.
 */
async function lockAndCheckCurrent(
  trx: Trx,
  version: ObjectVersion,
  stillCurrent: () => Promise<StillCurrent>,
): Promise<{ readonly current: StillCurrent; readonly versions: number }> {
  const versions = await lockVersions(trx, version)
  const current = await stillCurrent()
  if (current !== 'deleted') return { current, versions }
  // Read completely and deleted since: it is recorded, unless a later version was recorded before it was
  // deleted.
  const live = await findLiveFile(trx, version, true)
  const { lastModified } = version
  const isLast =
    live === null || live.etag === version.etag || lastModified === null || live.lastModified < lastModified
  return { current: isLast ? 'deleted' : 'no', versions }
}

async function insertFile(trx: Trx, file: FileToRecord, runId: number, at: Date): Promise<void> {
  const { version, metadata } = file
  await trx
    .insertInto('runFiles')
    .values({
      runId,
      bucket: version.bucket,
      objectKey: version.key,
      versionId: version.versionId,
      etag: version.etag,
      // The latest time that is possible.
      lastModified: version.lastModified ?? at,
      subrun: metadata.subrun,
      compression: metadata.compression,
      sizeBytes: metadata.sizeBytes,
      uncompressedBytes: metadata.uncompressedBytes,
      md5: metadata.checksums.md5,
      sha256: metadata.checksums.sha256,
      adler32: metadata.checksums.adler32,
      crc64nvme: metadata.checksums.crc64nvme ?? null,
      integrity: file.integrity,
      digestsCompared: JSON.stringify(file.comparisons),
      complete: metadata.complete,
      problemCode: metadata.problem?.code ?? null,
      problem: metadata.problem?.message ?? null,
      problemOffset: metadata.problem?.offset ?? null,
      warnings: JSON.stringify(metadata.warnings),
      eventCount: metadata.eventCount,
      eventsById: JSON.stringify(metadata.eventsById),
      serialGaps: JSON.stringify(metadata.serialGaps),
      banks: JSON.stringify(metadata.banks),
      internalEvents: JSON.stringify(metadata.internalEvents),
      firstEventAt: dateOf(metadata.firstEventTime),
      lastEventAt: dateOf(metadata.lastEventTime),
      startedEpoch: metadata.startedAt ?? 0,
      stoppedEpoch: metadata.stoppedAt,
      cameras: JSON.stringify(metadata.cameras),
      digitizers: JSON.stringify(metadata.digitizers),
      parameters: JSON.stringify(metadata.odb),
      isLive: true,
      // Until the run is refreshed.
      counts: false,
      isHistory: file.isHistory,
      cataloguedAt: at,
    })
    .execute()
}

function storedContent({ version, metadata }: FileToRecord, run: CataloguedRun): Content {
  const { md5, adler32, sha256 } = metadata.checksums
  return {
    run,
    bucket: version.bucket,
    key: version.key,
    sizeBytes: metadata.sizeBytes,
    md5,
    adler32,
    sha256,
  }
}

const verificationOf = ({ version, integrity, comparisons }: FileToRecord, at: Date) => ({
  integrity,
  storedAt: version.lastModified ?? at,
  comparedWith: comparisons
    .filter((comparison) => comparison.agrees)
    .map(({ by, algorithm }) => `${algorithm} of ${by}`),
})

/**
 * The object now belongs to another run. The former run keeps its history, and its problem names the file.
 */
async function recordOverwritten(trx: Trx, before: RunFile, file: FileToRecord, at: Date): Promise<void> {
  const problem = `${file.version.key} was overwritten by another run`
  const detail = `${problem}; md5 was ${before.md5}, ${before.sizeBytes} bytes`
  await addHistory(trx, [{ runId: before.runId, what: 'overwritten', detail }], at)
  await refreshRun(trx, await lockRunOfFile(trx, before, at), { at, problem })
}

/** How many files with other contents were catalogued under the same key. */
async function countOtherContents(trx: Trx, version: ObjectVersion, sha256: string): Promise<number> {
  const row = await trx
    .selectFrom('runFiles')
    .select((of) => of.fn.countAll<number>().as('others'))
    .where('bucket', '=', version.bucket)
    .where('objectKey', '=', version.key)
    .where('sha256', '!=', sha256)
    .executeTakeFirstOrThrow()
  return Number(row.others)
}

/**
 * A file of another run, by its tag or number, that has the same bytes. Any of them: thousands may have, and in
 * the order of the index the first is found at once.
 */
const findTwin = (trx: Trx, run: CataloguedRun, sha256: string) =>
  trx
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .select(['runFiles.runId', 'runFiles.objectKey'])
    .where('runFiles.sha256', '=', sha256)
    .where('runFiles.isLive', '=', true)
    .where((where) =>
      where.or([where('runs.tag', '!=', run.tag), where('runs.runNumber', '!=', run.runNumber)]),
    )
    .limit(1)
    .executeTakeFirst()

function nextSteps(
  file: FileToRecord,
  run: CataloguedRun,
  { summary, files }: RefreshedRun,
  {
    sameRun,
    otherContents,
    recoMinimumEvents,
  }: {
    /** Another file brought the contents that counted already: their reconstruction was requested. */
    readonly sameRun: boolean
    readonly otherContents: number
    readonly recoMinimumEvents: number
  },
) {
  if (file.isHistory) {
    const detail = 'older than the take-over time of its tag: no copy on tape and no reconstruction'
    return { requests: [], notes: [{ runId: run.id, what: 'history', detail }] }
  }
  const { version, metadata, integrity, comparisons } = file
  const counts = files.some(({ bucket, objectKey }) => bucket === version.bucket && objectKey === version.key)
  const catalogued = { run, version, metadata, integrity, comparisons, otherContents, counts }
  const requests: Request[] = [...fileAlerts(catalogued)]
  const hasSameContents = ({ sha256, integrity }: RunFile) =>
    sha256 === metadata.checksums.sha256 && integrity !== 'mismatch'
  const tape = counts || !files.some(hasSameContents) ? tapeRequest(catalogued, file.priority) : null
  if (tape !== null) requests.push(tape)
  if (!counts || sameRun) return { requests, notes: [] }
  const reco = recoRequest(catalogued, summary, files.map(inputOf), recoMinimumEvents)
  if ('request' in reco) return { requests: [...requests, reco.request], notes: [] }
  return { requests, notes: [{ runId: run.id, what: 'reconstruction not asked for', detail: reco.reason }] }
}

export const inputOf = (file: RunFile): RunInput => ({
  bucket: file.bucket,
  key: file.objectKey,
  etag: file.etag,
  versionId: file.versionId,
  sizeBytes: file.sizeBytes,
  lastModified: file.lastModified,
  md5: file.md5,
  banks: file.banks,
  eventsById: file.eventsById,
})

function historyLine(file: FileToRecord): string {
  const { version, metadata } = file
  const state = metadata.complete
    ? 'complete'
    : `incomplete: ${metadata.problem?.message ?? 'no reason known'}`
  return `${version.bucket}/${version.key}, ${metadata.sizeBytes} bytes, md5 ${metadata.checksums.md5}, ${metadata.eventCount} events, ${state}`
}
