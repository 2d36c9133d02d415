/**
 * Copies made by FTS3: FTS fetches the file from a link to our store, writes it to the tape endpoint,
 * retries, and waits until it is on media. No byte passes through us.
 *
 * We submit each copy under a deterministic name (`sid`), from which FTS derives the job's id. A submission
 * whose reply was lost is found again by that id, so the same copy is never requested twice. The end of a job
 * is no proof: the tape endpoint itself (`destination`, a webdav driver) is checked afterwards.
 *
 * Tokens: only the bearer token of the submission. FTS accepts `source_tokens` and `destination_tokens` only
 * together, and a presigned link needs none (gfal2, with which FTS copies, sends no token to a signed link).
 * Without them FTS uses the bearer token at the destination, so the token needs storage.modify and
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
import { shown } from '../http/failures.ts'
import { checkedName } from '../names.ts'
import { ftsJobId } from './job-id.ts'
import { createFtsJobs, type FtsJob, type FtsJobs, type FtsJobsOptions } from './jobs.ts'
import { progressOf } from './states.ts'

export interface FtsOptions extends FtsJobsOptions {
  /**
   * The virtual organisation that FTS assigns to us: the first group in the token, or the host of its issuer.
   */
  readonly vo: string
  /** How long a job waits for the file to be on media; 0 where the destination has no tape. */
  readonly archiveSeconds: number
  /** The tape endpoint; closed together with this driver. */
  readonly destination: TapeDriver
}

/** The longest an S3 link can be valid: copies wait in FTS's queue for days when a tape is down. */
const LINK_SECONDS = 7 * 86_400
/** FTS gives up a job that has not begun after this many hours: a day before its link expires. */
const QUEUE_HOURS = 6 * 24
const RETRIES = 3
const RETRY_SECONDS = 300

/** @throws InvalidInputError for an invalid address. */
export function createFtsDriver(options: FtsOptions): TapeDriver {
  const { destination } = options
  const jobs = createFtsJobs(options)
  return {
    kind: 'fts',
    endpoint: destination.endpoint,
    url: (name) => destination.url(checkedName(name)),
    copy: (file, source, copyOptions, signal) => copy(jobs, options, file, source, copyOptions, signal),
    check: (file, checkOptions, signal) => check(jobs, destination, file, checkOptions, signal),
    // FTS could stage as well (`bring_online`), but refuses that with tokens, and would only forward the
    // request to the endpoint.
    stage: (file, stageOptions, signal) => destination.stage(file, stageOptions, signal),
    ...(destination.stageAll === undefined ? {} : { stageAll: destination.stageAll.bind(destination) }),
    release: (file, reference, signal, round) => destination.release(file, reference, signal, round),
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
  // Nothing was accepted. Without archiving, the destination itself reports what is on media.
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
 * The job with this `sid`; null when there is none. FTS may assign us another VO than the configured one and
 * derive its ids from that; in this case FTS is asked for our VOs.
 */
async function findBySid(
  jobs: FtsJobs,
  vo: string,
  sid: string,
  jobId: string,
  signal: AbortSignal,
): Promise<string | null> {
  if ((await jobs.find(jobId, signal)) !== null) return jobId
  for (const actual of await jobs.vos(signal)) {
    const actualId = ftsJobId(actual, sid)
    if (actual !== vo && (await jobs.find(actualId, signal)) !== null) return actualId
  }
  return null
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
      // S3 has no adler32: the given value is compared with the destination's.
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

async function check(
  jobs: FtsJobs,
  destination: TapeDriver,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  checkedName(file.name)
  const { reference } = options
  const atDestination = () => destination.check(file, { ...options, reference: null }, signal)
  if (reference === null) return await atDestination()
  const job = await jobs.find(reference, signal)
  if (job === null) return await atDestination()
  switch (progressOf(job)) {
    case 'active':
      return { kind: 'in-progress', reason: describe(reference, job) }
    case 'finished':
      return await afterEnd(atDestination, `FTS job ${reference} is FINISHED, but the file is not there`)
    case 'ended-badly':
      // A job that timed out waiting for the medium is FAILED with its file on the endpoint's disk: another copy
      // would only collide with it.
      return await afterEnd(atDestination, describe(reference, job))
    case 'unknown': {
      // It may be an end: a whole file at the destination is one whatever FTS calls it. Anything else proves nothing.
      const found = await atDestination()
      if (found.kind === 'present') return found
      return { kind: 'in-progress', isUnknown: true, reason: describe(reference, job) }
    }
  }
}

async function afterEnd(atDestination: () => Promise<TapeCheck>, whenAbsent: string): Promise<TapeCheck> {
  const found = await atDestination()
  return found.kind === 'absent' ? { kind: 'failed', reason: whenAbsent } : found
}

function describe(reference: string, job: FtsJob): string {
  const reason = job.reason === '' ? '' : `: ${job.reason}`
  if (progressOf(job) !== 'unknown') return `FTS job ${reference} is ${job.state}${reason}`
  const files = [...new Set(job.fileStates)].filter((state) => state !== job.state)
  const states = shown(`${job.state}${files.length === 0 ? '' : `, its file ${files.join(', ')}`}`)
  return `FTS job ${reference} is ${states}, which is not known to be in progress or ended${reason}`
}
