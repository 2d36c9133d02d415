/**
 * An FTS3 REST service, written from its source (fts-rest-flask: lib/JobBuilder.py, controllers/jobs.py) and
 * its interface. It refuses what the real service refuses, keeps jobs, and copies or misbehaves when a test
 * requests it. It also refuses fields that the real service ignores, so that a typo is noticed.
 */
import type { IncomingMessage } from 'node:http'
import * as z from 'zod'
import { ftsJobId } from '../../shared/tape/fts/job-id.ts'
import { startHttpServer } from './http-server.ts'
import { bodyOf } from './iam-server.ts'

/** A fault of the next request. `lose-reply`: it is carried out, then the connection is closed. */
export type FtsFault = 'lose-reply' | 'drop' | 'html' | 'half' | '404-page' | '503' | '403' | '429' | 'hang'

export interface FtsTransfer {
  readonly source: string
  readonly destination: string
  readonly adler32: string
  readonly sizeBytes: number
}

export interface StoredJob {
  readonly jobId: string
  readonly body: z.infer<typeof submission>
  state: string
  reason: string | null
}

export interface FtsServer {
  readonly url: string
  readonly jobs: ReadonlyMap<string, StoredJob>
  /** `METHOD path` of every request. */
  readonly requests: readonly string[]
  /** Tokens that are accepted. */
  readonly tokens: Set<string>
  /** Called when a request is left without an answer (`hang`). */
  onHang: () => void
  fail(...faults: FtsFault[]): void
  /** Some releases refuse archive_timeout with tokens. */
  refuseArchiving(on: boolean): void
  /**
   * Runs the jobs: the test's `transfer` carries out each; if it throws, the job fails with that reason.
   */
  run(): Promise<void>
  setState(jobId: string, state: string, reason?: string): void
  forget(jobId: string): void
  close(): Promise<void>
}

const link = z.string().refine((text) => {
  const url = URL.parse(text)
  return url !== null && /^(https?|davs?|mock):$/.test(url.protocol) && url.pathname.length > 1
})
const links = z.array(link).length(1)
const jwts = z.array(z.string().min(1)).optional()
const file = z.strictObject({
  sources: links,
  destinations: links,
  checksum: z.string().regex(/^ADLER32:[0-9a-f]{8}$/),
  filesize: z.int().nonnegative(),
  activity: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  source_tokens: jwts,
  destination_tokens: jwts,
  staging_metadata: z.record(z.string(), z.unknown()).nullish(),
  archive_metadata: z.record(z.string(), z.unknown()).nullish(),
  scitag: z.int().min(65).max(65_535).nullish(),
})
const flag = z.boolean().nullish()
const params = z.strictObject({
  verify_checksum: z.union([z.boolean(), z.enum(['source', 'target', 'both', 'none'])]),
  overwrite: flag,
  overwrite_when_only_on_disk: flag,
  retry: z.int().nullish(),
  retry_delay: z.int().nullish(),
  archive_timeout: z.int().nullish(),
  dst_file_report: flag,
  bring_online: z.int().nullish(),
  copy_pin_lifetime: z.int().min(-1).nullish(),
  max_time_in_queue: z.union([z.int(), z.string().regex(/^\d+[smh]$/)]).nullish(),
  priority: z.int().min(1).max(5).nullish(),
  id_generator: z.literal('deterministic'),
  sid: z.string().min(1),
  job_metadata: z.record(z.string(), z.unknown()).nullish(),
})
const submission = z.strictObject({ files: z.array(file).length(1), params })

const ACTIVE = new Set(['SUBMITTED', 'READY', 'ACTIVE', 'STAGING', 'ARCHIVING'])

export async function startFtsServer(options: {
  readonly vo: string
  /** Copies, or throws the reason why it cannot; absent: jobs stay as the test sets them. */
  readonly transfer?: (transfer: FtsTransfer) => Promise<void>
}): Promise<FtsServer> {
  const jobs = new Map<string, StoredJob>()
  const requests: string[] = []
  const tokens = new Set(['fts-token'])
  const faults: FtsFault[] = []
  let archivingRefused = false

  const submit = (text: string): Reply => {
    const body = submission.safeParse(json(text))
    if (!body.success) return problem(400, `Malformed request: ${z.prettifyError(body.error)}`)
    const [
      { destinations, source_tokens: sourceTokens, destination_tokens: destinationTokens } = {
        destinations: [],
      },
    ] = body.data.files
    const {
      sid,
      overwrite,
      overwrite_when_only_on_disk: onlyOnDisk,
      archive_timeout: archive,
      bring_online: online,
    } = body.data.params
    if (sourceTokens !== undefined || destinationTokens !== undefined) {
      if (sourceTokens === undefined || destinationTokens === undefined)
        return problem(
          400,
          'Both source_tokens and destination_tokens are required if one of them is present.',
        )
      if (sourceTokens.length !== 1)
        return problem(400, 'Length of source_tokens should be equal to the length of sources.')
      if (destinationTokens.length !== 1)
        return problem(400, 'Length of destination_tokens should be equal to the length of destinations.')
    }
    if (overwrite === true && onlyOnDisk === true)
      return problem(400, 'Incompatible overwrite flags used at the same time')
    if (onlyOnDisk === true && (archive ?? 0) <= 0)
      return problem(400, "'overwrite-when-only-on-disk' requires 'archive-timeout' to be set")
    if (archivingRefused && (archive ?? 0) > 0)
      return problem(400, 'Requests to archive to tape using token authentication are not supported')
    if ((online ?? 0) > 0)
      return problem(400, 'Requests to retrieve from tape using token authentication are not supported')
    const jobId = ftsJobId(options.vo, sid)
    if (jobs.has(jobId)) return problem(409, 'The sid provided by the user is duplicated')
    const taken = [...jobs.values()].some(
      (other) => ACTIVE.has(other.state) && other.body.files[0]?.destinations[0] === destinations[0],
    )
    if (taken) return problem(409, `The submission is duplicated (Duplicate entry for key dest_surl_uuid)`)
    jobs.set(jobId, { jobId, body: body.data, state: 'SUBMITTED', reason: null })
    return { status: 200, body: { job_id: jobId } }
  }

  const state = (path: string, fields: readonly string[]): Reply => {
    const job = jobs.get(decodeURIComponent(path))
    if (job === undefined)
      return {
        status: 404,
        body: { job_id: path, http_status: '404 Not Found', http_message: 'No job with the id' },
      }
    const files = [{ file_state: job.state === 'FINISHEDDIRTY' ? 'FAILED' : job.state, reason: job.reason }]
    const body = {
      job_id: job.jobId,
      job_state: job.state,
      reason: job.reason,
      http_status: '200 Ok',
      vo_name: options.vo,
    }
    return { status: 200, body: fields.length === 0 ? body : { ...body, files } }
  }

  const answer = (request: IncomingMessage, text: string): Reply => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fts')
    const token = request.headers.authorization?.match(/^Bearer (\S+)$/)?.[1]
    if (token === undefined) return problem(403, 'Authentication required')
    if (!tokens.has(token)) return problem(401, 'Invalid OAuth2 credentials')
    if (request.headers.accept !== 'application/json') return problem(406, 'Not acceptable')
    if (request.method === 'GET' && pathname === '/whoami')
      return { status: 200, body: { user_dn: 'cygnet', vos: [options.vo], method: 'oauth2' } }
    if (pathname === '/jobs' && request.method === 'POST')
      return request.headers['content-type'] === 'application/json'
        ? submit(text)
        : problem(400, 'Invalid content type')
    const id = pathname.match(/^\/jobs\/([0-9a-f-]{36})$/)?.[1]
    const fields = (searchParams.get('files') ?? '').split(',').filter(Boolean)
    return id !== undefined && request.method === 'GET' ? state(id, fields) : problem(404, 'Not Found')
  }

  const http = await startHttpServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    const text = await bodyOf(request)
    const fault = faults.shift()
    if (fault === 'hang') return server.onHang()
    if (fault === 'drop') return void request.socket.destroy()
    if (fault === '503' || fault === '403' || fault === '429')
      return void response
        .writeHead(Number(fault))
        .end(JSON.stringify({ status: fault, message: 'Busy, or not allowed' }))
    const reply = answer(request, text)
    if (fault === 'lose-reply') return void request.socket.destroy()
    if (fault === 'html')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>')
    if (fault === '404-page')
      return void response.writeHead(404, { 'content-type': 'text/html' }).end('<html>nothing here</html>')
    const body = JSON.stringify(reply.body)
    response
      .writeHead(reply.status, { 'content-type': 'application/json' })
      .end(fault === 'half' ? body.slice(0, 9) : body)
  })

  const server: FtsServer = {
    url: http.origin,
    jobs,
    requests,
    tokens,
    onHang: () => {},
    fail: (...more) => void faults.push(...more),
    refuseArchiving(on) {
      archivingRefused = on
    },
    async run() {
      for (const job of jobs.values()) {
        const [wanted] = job.body.files
        if (!ACTIVE.has(job.state) || wanted === undefined || options.transfer === undefined) continue
        const [source = '', destination = ''] = [wanted.sources[0], wanted.destinations[0]]
        const transfer = {
          source,
          destination,
          adler32: wanted.checksum.slice('ADLER32:'.length),
          sizeBytes: wanted.filesize,
        }
        await options.transfer(transfer).then(
          () => Object.assign(job, { state: 'FINISHED' }),
          (error: Error) => Object.assign(job, { state: 'FAILED', reason: `TRANSFER [5] ${error.message}` }),
        )
      }
    },
    setState: (jobId, next, reason) =>
      void Object.assign(jobs.get(jobId) ?? {}, { state: next, reason: reason ?? null }),
    forget: (jobId) => void jobs.delete(jobId),
    close: () => http.close(),
  }
  return server
}

interface Reply {
  readonly status: number
  readonly body: object
}

const problem = (status: number, message: string): Reply => ({
  status,
  body: { status: `${status}`, message },
})

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
