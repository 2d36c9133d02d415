/** HTTP to the services beside a tape endpoint (IAM, FTS, Rucio): short requests, short answers, and no secret in any error. */
import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'
import { InvalidInputError, TransientError } from '../../errors.ts'

/** No answer that is of use here is larger; one that is comes from something else. */
const ANSWER_BYTES = 8 * 1024 * 1024
const TIMEOUT_SECONDS = 30

export interface HttpOptions {
  /** A PEM file with certificate authorities besides Node's own. */
  readonly caFile?: string | undefined
  /** Longest time for one request and its answer. */
  readonly timeoutSeconds?: number | undefined
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

export interface HttpClient {
  /**
   * One request; redirects are answers like others.
   * @throws TransientError when no whole answer came. What was asked for may have been done all the same.
   */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>
  close(): Promise<void>
}

/** @throws InvalidInputError when the file with certificate authorities cannot be read. */
export function createHttpClient(service: string, options: HttpOptions): HttpClient {
  const timeoutMs = (options.timeoutSeconds ?? TIMEOUT_SECONDS) * 1000
  const agent = new Agent({
    connect: { ...trusted(options.caFile), timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  return {
    async send(request, signal) {
      signal.throwIfAborted()
      const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      try {
        const { method, url, headers, body = null } = request
        const answer = await agent.request({ origin: url.origin, path: url.pathname + url.search, method, headers, body, signal: limited })
        return { status: answer.statusCode, text: await textOf(answer) }
      } catch (error) {
        signal.throwIfAborted()
        throw new TransientError(`${service} at ${request.url.origin} gave no answer: ${reasonOf(error)}`, { service })
      }
    },
    close: () => agent.destroy(),
  }
}

/** @throws InvalidInputError for what is no http(s) address, or has credentials in it: addresses are shown in errors. */
export function checkedUrl(setting: string, text: string): URL {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw new InvalidInputError(`${setting} is not an http or https address`)
  if (url.username !== '' || url.password !== '') throw new InvalidInputError(`${setting} must not contain a user name or password`)
  return url
}

function trusted(caFile: string | undefined): { readonly ca?: string[] } {
  if (caFile === undefined) return {}
  try {
    return { ca: [...getCACertificates('default'), readFileSync(caFile, 'utf8')] }
  } catch (cause) {
    throw new InvalidInputError(`the file with certificate authorities ${caFile} cannot be read`, {}, { cause })
  }
}

async function textOf(answer: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > ANSWER_BYTES) throw new TransientError(`an answer of more than ${ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The kind of failure by its code: messages of libraries may quote headers. */
function reasonOf(error: unknown): string {
  if (error instanceof TransientError) return error.message
  if (!(error instanceof Error)) return 'unknown failure'
  if (error.name === 'TimeoutError') return 'it took too long'
  const [first] = error instanceof AggregateError ? error.errors : []
  return String((error as NodeJS.ErrnoException).code ?? first?.code ?? error.name)
}
