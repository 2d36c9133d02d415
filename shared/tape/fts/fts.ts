/**
 * Copies made by FTS3: it fetches from a link to our store and writes to the tape endpoint, retries by
 * itself, and waits until the file is on media. No byte passes through us.
 *
 * FTS is told by a name of ours which copy a job is for, and makes the job's id from that: a submission whose
 * reply was lost is found again, and the same copy is never asked for twice. What FTS says of the end of a
 * job is a reason to look, and no proof: the tape endpoint itself (`destination`, a webdav driver) is asked
 * what is there.
 *
 * Tokens: the bearer token of the submission only. FTS takes `source_tokens` and `destination_tokens` both or
 * not at all, and a presigned link needs none (gfal2, by which FTS copies, sends none to a link with a
 * signature); without them it uses the bearer token at the destination. So that needs storage.modify and
 * storage.read there.
 */
import { TransientError } from '../../errors.ts'
import type {
  CheckOptions,
  CopyOptions,
  CopyResult,
  CopySource,
  TapeCheck,
  TapeDriver,
  TapeFile,
} from '../driver.ts'
import { checkedName } from '../names.ts'
import { ftsJobId } from './job-id.ts'
import { createFtsJobs, type FtsJob, type FtsJobs, type FtsJobsOptions } from './jobs.ts'

export interface FtsOptions extends FtsJobsOptions {
  /** The virtual organisation FTS takes us for: the first group in the token, or the host of its issuer. */
  readonly vo: string
  /** How long a job waits for the file to be on media; 0 where the destination has no tape. */
  readonly archiveSeconds: number
  /** The tape endpoint; closed together with this driver. */
  readonly destination: TapeDriver
}

/** The longest an S3 link can be valid: copies wait in FTS's queue for days when a tape is down. */
const LINK_SECONDS = 7 * 86_400
/** FTS gives a job up that has not begun after so many hours: a day before its link ends. */
const QUEUE_HOURS = 6 * 24
const RETRIES = 3
const RETRY_SECONDS = 300

/** @throws InvalidInputError for an address that is none. */
export function createFtsDriver(options: FtsOptions): TapeDriver {
  const { destination } = options
  const jobs = createFtsJobs(options)
  return {
    kind: 'fts',
    endpoint: destination.endpoint,
    url: (name) => destination.url(checkedName(name)),
    copy: (file, source, copyOptions, signal) => copy(jobs, options, file, source, copyOptions, signal),
    check: (file, checkOptions, signal) => check(jobs, destination, file, checkOptions, signal),
    // FTS could stage as well (`bring_online`), but refuses that with tokens, and only passes the request on
    // to the endpoint.
    stage: (file, stageOptions, signal) => destination.stage(file, stageOptions, signal),
    release: (file, reference, signal) => destination.release(file, reference, signal),
    read: (file, signal) => destination.read(file, signal),
    ...(destination.send === undefined ? {} : { send: destination.send.bind(destination) }),
    ...(destination.list === undefined ? {} : { list: destination.list.bind(destination) }),
    async close() {
      await Promise.all([jobs.close(), destination.close()])
    },
  }
}

async function copy(
  jobs: FtsJobs,
  options: FtsOptions,
  file: TapeFile,
  source: CopySource,
  { attempt }: CopyOptions,
  signal: AbortSignal,
): Promise<CopyResult> {
  signal.throwIfAborted()
  const sid = `cygnet:${checkedName(file.name)}:${file.sha256.slice(0, 16)}:${attempt}`
  const jobId = ftsJobId(options.vo, sid)
  const link = await source.presign(LINK_SECONDS)
  const job = (archiveSeconds: number) =>
    describeJob(file, sid, link, options.destination.url(file.name), archiveSeconds)
  let answer = await jobs.submit(job(options.archiveSeconds), signal)
  // Nothing was accepted; the destination's own word on what is on media does instead.
  if (answer.kind === 'archiving-refused') answer = await jobs.submit(job(0), signal)
  if (answer.kind === 'accepted') return { kind: 'submitted', reference: answer.jobId }
  const found = await findBySid(jobs, options.vo, sid, jobId, signal)
  if (found !== null) return { kind: 'submitted', reference: found }
  if (answer.kind === 'unknown') throw answer.error
  if (answer.kind === 'archiving-refused')
    throw new TransientError('FTS refuses to archive, though it was not asked to', { operator: true })
  throw new TransientError(
    `FTS refuses the job: another one is writing to ${options.destination.url(file.name)} (${answer.reason})`,
    {
      service: 'FTS',
    },
  )
}

/**
 * The job of this name; null when there is none. FTS may take us for another VO than the settings do, and
 * makes its ids from that: then it is asked.
 */
async function findBySid(
  jobs: FtsJobs,
  vo: string,
  sid: string,
  jobId: string,
  signal: AbortSignal,
): Promise<string | null> {
  if ((await jobs.find(jobId, signal)) !== null) return jobId
  const actual = await jobs.vo(signal)
  if (actual === vo) return null
  const actualId = ftsJobId(actual, sid)
  return (await jobs.find(actualId, signal)) === null ? null : actualId
}

/** The body of `POST /jobs`: fts-rest-flask, lib/JobBuilder.py. */
function describeJob(
  file: TapeFile,
  sid: string,
  link: string,
  destination: string,
  archiveSeconds: number,
): object {
  const metadata = { issuer: 'cygnet', tag: file.tag, run: file.runNumber }
  return {
    files: [
      {
        sources: [link],
        destinations: [destination],
        checksum: `ADLER32:${file.adler32}`,
        filesize: file.sizeBytes,
        activity: 'default',
        metadata,
      },
    ],
    params: {
      // S3 knows no adler32: the value given is compared with the destination's.
      verify_checksum: 'target',
      overwrite: false,
      retry: RETRIES,
      retry_delay: RETRY_SECONDS,
      max_time_in_queue: QUEUE_HOURS,
      archive_timeout: archiveSeconds > 0 ? archiveSeconds : -1,
      dst_file_report: true,
      bring_online: -1,
      copy_pin_lifetime: -1,
      priority: 3,
      id_generator: 'deterministic',
      sid,
      job_metadata: metadata,
    },
  }
}

const ENDED_BADLY = new Set(['FAILED', 'CANCELED', 'FINISHEDDIRTY'])

async function check(
  jobs: FtsJobs,
  destination: TapeDriver,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  checkedName(file.name)
  const { reference, readBack } = options
  const atDestination = () => destination.check(file, { reference: null, readBack }, signal)
  if (reference === null) return await atDestination()
  const job = await jobs.find(reference, signal)
  if (job === null) return await atDestination()
  if (job.state === 'FINISHED')
    return await afterEnd(atDestination, `FTS job ${reference} is FINISHED, but the file is not there`)
  // A job that waited in vain for the medium has FAILED with its file on the endpoint's disk: copying again
  // would only collide.
  if (ENDED_BADLY.has(job.state)) return await afterEnd(atDestination, describe(reference, job))
  return { kind: 'in-progress', reason: describe(reference, job) }
}

async function afterEnd(atDestination: () => Promise<TapeCheck>, whenAbsent: string): Promise<TapeCheck> {
  const found = await atDestination()
  return found.kind === 'absent' ? { kind: 'failed', reason: whenAbsent } : found
}

const describe = (reference: string, job: FtsJob) =>
  `FTS job ${reference} is ${job.state}${job.reason === '' ? '' : `: ${job.reason}`}`
