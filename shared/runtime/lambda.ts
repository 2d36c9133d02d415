/**
 * Functions as called by AWS Lambda: queue (with partial batch failure), schedule, and HTTP through API
 * Gateway v2 or a function URL.
 */
import type {
  APIGatewayProxyEventV2,
  APIGatewayProxyStructuredResultV2,
  Context,
  ScheduledEvent,
  SQSBatchResponse,
  SQSEvent,
} from 'aws-lambda'
import type { Logger } from '../log.ts'
import { runWithin } from '../time/limits.ts'
import type { HttpApp, Invocation, QueueHandler, ScheduleHandler } from './handler.ts'

/**
 * Part of Lambda's time reserved for the clean-up of an interrupted run: Lambda itself stops without notice.
 */
const RESERVE_MS = 3000

/** For an event source mapping with `functionResponseType: ReportBatchItemFailures`. */
export function lambdaQueue(
  handler: QueueHandler,
  log: Logger,
): (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> {
  return (event, context) => invoke(context, log, (invocation) => handler(event, invocation))
}

export function lambdaSchedule(
  handler: ScheduleHandler,
  log: Logger,
): (event: ScheduledEvent, context: Context) => Promise<void> {
  return (event, context) => invoke(context, log, (invocation) => handler(event, invocation))
}

export function lambdaHttp(
  app: HttpApp,
): (event: APIGatewayProxyEventV2) => Promise<APIGatewayProxyStructuredResultV2> {
  return async (event) =>
    fromResponse(await app.fetch(toRequest(event), { clientAddress: event.requestContext.http.sourceIp }))
}

function invoke<T>(context: Context, log: Logger, work: (invocation: Invocation) => Promise<T>): Promise<T> {
  const timeoutSeconds = Math.max(context.getRemainingTimeInMillis() - RESERVE_MS, 1) / 1000
  const child = log.child({ invocation: context.awsRequestId })
  return runWithin((signal) => work({ signal, log: child }), {
    timeoutSeconds,
    stop: new AbortController().signal,
  })
}

function toRequest(event: APIGatewayProxyEventV2): Request {
  const { method } = event.requestContext.http
  const headers = new Headers()
  for (const [name, value] of Object.entries(event.headers)) if (value !== undefined) headers.set(name, value)
  if (event.cookies !== undefined) headers.set('cookie', event.cookies.join('; '))
  const query = event.rawQueryString === '' ? '' : `?${event.rawQueryString}`
  const url = `https://${event.requestContext.domainName}${event.rawPath}${query}`
  const hasBody = event.body !== undefined && method !== 'GET' && method !== 'HEAD'
  return new Request(url, {
    method,
    headers,
    body: hasBody ? Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8') : null,
  })
}

/** Bodies are returned as base64: Lambda passes on the bytes unchanged. */
async function fromResponse(response: Response): Promise<APIGatewayProxyStructuredResultV2> {
  const headers: Record<string, string> = {}
  for (const [name, value] of response.headers) if (name !== 'set-cookie') headers[name] = value
  const body = Buffer.from(await response.arrayBuffer()).toString('base64')
  return {
    statusCode: response.status,
    headers,
    cookies: response.headers.getSetCookie(),
    body,
    isBase64Encoded: true,
  }
}
