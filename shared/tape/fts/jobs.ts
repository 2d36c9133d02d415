/**
 * The part of the FTS3 REST interface (fts-rest-flask, controllers/jobs.py) that copies need: submit a job,
 * find one, read its state.
 */
import * as z from 'zod'
import { TransientError } from '../../errors.ts'
import { shown } from '../http/failures.ts'
import { checkedUrl, type HttpOptions } from '../tokens/http.ts'
import { createService } from '../tokens/service.ts'
import type { TokenSource } from '../tokens/token-source.ts'

export interface FtsJobsOptions extends HttpOptions {
  readonly url: string
  readonly tokens: TokenSource
}

export interface FtsJob {
  readonly state: string
  /** Of its files; of ours there is one in each job. Empty where FTS states none. */
  readonly fileStates: readonly string[]
  /** Why it failed, from the job and its files, without secrets; '' where no reason is given. */
  readonly reason: string
}

export type Submission =
  | { readonly kind: 'accepted'; readonly jobId: string }
  /** 409: a job with this `sid` exists, or another one is writing to the destination at present. */
  | { readonly kind: 'duplicate'; readonly reason: string }
  /**
   * FTS does not accept `archive_timeout` with tokens (`submit` of some fts-rest-flask releases refuses it).
   */
  | { readonly kind: 'archiving-refused' }
  /** No answer, or an invalid one: the job may have been accepted. */
  | { readonly kind: 'unknown'; readonly error: TransientError }

const uuid = z.uuid().toLowerCase()
const submitted = z.object({ job_id: uuid })
const text = z.string().nullish()
const job = z.object({
  job_id: uuid,
  job_state: z.string().min(1),
  reason: text,
  files: z.array(z.object({ file_state: text, reason: text })).nullish(),
})
const whoAmI = z.object({ vos: z.array(z.string()).min(1) })
const JSON_TYPE = 'application/json'

export interface FtsJobs {
  readonly url: URL
  /** @throws TransientError when FTS states that the job was not accepted. */
  submit(job: object, signal: AbortSignal): Promise<Submission>
  /** Null when FTS does not know the job (it forgets ended jobs after some days). */
  find(jobId: string, signal: AbortSignal): Promise<FtsJob | null>
  /** The VOs that FTS assigns to this client; it derives job ids from one of them. */
  vos(signal: AbortSignal): Promise<readonly string[]>
  close(): Promise<void>
}

export function createFtsJobs(options: FtsJobsOptions): FtsJobs {
  const url = checkedUrl('CYGNET_FTS_URL', options.url)
  const service = createService({
    ...options,
    name: 'FTS',
    url,
    headers: (token): Record<string, string> => (token === null ? {} : { authorization: `Bearer ${token}` }),
    messageOf,
  })

  const submit = async (body: object, signal: AbortSignal): Promise<Submission> => {
    const sent = await service
      .call({ method: 'POST', path: 'jobs', accept: JSON_TYPE, body }, signal)
      .catch((error: unknown) => error)
    signal.throwIfAborted()
    if (sent instanceof TransientError) return { kind: 'unknown', error: sent }
    if (sent instanceof Error) throw sent
    const answer = sent as Awaited<ReturnType<typeof service.call>>
    if (answer.status === 409) return { kind: 'duplicate', reason: shown(messageOf(answer.text)) }
    if (answer.status === 400 && /archive to tape using token/i.test(answer.text))
      return { kind: 'archiving-refused' }
    const failure = service.failure('did not accept the job', answer)
    if (answer.status >= 500) return { kind: 'unknown', error: failure }
    if (answer.status !== 200) throw failure
    try {
      return { kind: 'accepted', jobId: service.parse('accepted a job', answer, submitted).job_id }
    } catch (error) {
      return { kind: 'unknown', error: error as TransientError }
    }
  }

  return {
    url,
    submit,
    async find(jobId, signal) {
      const path = `jobs/${encodeURIComponent(jobId)}?files=file_state,reason`
      const answer = await service.call({ method: 'GET', path, accept: JSON_TYPE }, signal)
      if (answer.status === 404 && isAbout(jobId, answer.text)) return null
      if (answer.status !== 200) throw service.failure(`does not report the state of job ${jobId}`, answer)
      const found = service.parse(`reported the state of job ${jobId}`, answer, job)
      if (found.job_id !== jobId.toLowerCase())
        throw new TransientError(`FTS was asked for job ${jobId} and reported another one`)
      const reasons = [found.reason, ...(found.files ?? []).map((file) => file.reason)].filter(
        (reason) => (reason ?? '') !== '',
      )
      const fileStates = (found.files ?? []).flatMap(({ file_state: state }) => state ?? [])
      return { state: found.job_state, fileStates, reason: shown([...new Set(reasons)].join('; ')) }
    },
    async vos(signal) {
      const answer = await service.call({ method: 'GET', path: 'whoami', accept: JSON_TYPE }, signal)
      if (answer.status !== 200) throw service.failure('does not report our identity', answer)
      return service.parse('reported our identity', answer, whoAmI).vos
    },
    close: () => service.close(),
  }
}

const messages = z.object({ message: text, http_message: text, reason: text })

function messageOf(answer: string): string {
  try {
    const { message, http_message: httpMessage, reason } = messages.parse(JSON.parse(answer))
    return message ?? httpMessage ?? reason ?? ''
  } catch {
    return ''
  }
}

/**
 * A 404 of FTS names the job. One of a proxy, or of an address that is not FTS, proves nothing about the job.
 */
function isAbout(jobId: string, answer: string): boolean {
  try {
    return z.object({ job_id: z.literal(jobId) }).safeParse(JSON.parse(answer)).success
  } catch {
    return false
  }
}
