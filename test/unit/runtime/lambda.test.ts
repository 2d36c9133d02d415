import type { APIGatewayProxyEventV2, Context, SQSEvent } from 'aws-lambda'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { lambdaHttp, lambdaQueue, lambdaSchedule } from '../../../shared/runtime/lambda.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const context = (remainingMs: number) =>
  ({ awsRequestId: 'request-1', getRemainingTimeInMillis: () => remainingMs }) as Context
const noMessages: SQSEvent = { Records: [] }

/** An event of API Gateway's HTTP API, of which only the fields that count are filled. */
function httpEvent(
  event: Partial<APIGatewayProxyEventV2> & { readonly method?: string },
): APIGatewayProxyEventV2 {
  const requestContext = {
    domainName: 'api.example',
    http: { method: event.method ?? 'GET' },
  } as APIGatewayProxyEventV2['requestContext']
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: '/',
    rawQueryString: '',
    headers: {},
    isBase64Encoded: false,
    ...event,
    requestContext,
  }
}

test('a queue function answers which messages failed, and logs under the request', async () => {
  const { log, lines } = recordingLog()
  const handler = lambdaQueue(async (_, invocation) => {
    invocation.log.info('at work')
    return { batchItemFailures: [{ itemIdentifier: '1' }] }
  }, log)
  expect(await handler(noMessages, context(10_000))).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] })
  expect(lines[0]).toMatchObject({ event: 'at work', invocation: 'request-1' })
})

test('a function is aborted before Lambda ends it', async () => {
  const { log } = recordingLog()
  const handler = lambdaSchedule(
    (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    log,
  )
  await expect(handler(scheduledEvent('reconcile', new Date()), context(3050))).rejects.toThrow(
    'not finished within',
  )
})

test('an HTTP function sees method, path, query, headers, cookies and bytes, and its answer comes back whole', async () => {
  const app = new Hono().post('/notify/:token', async (c) => {
    c.header('set-cookie', 'a=1', { append: true })
    c.header('set-cookie', 'b=2', { append: true })
    const bytes = new Uint8Array(await c.req.arrayBuffer())
    return c.json(
      {
        token: c.req.param('token'),
        q: c.req.query('q'),
        auth: c.req.header('authorization'),
        cookie: c.req.header('cookie'),
        bytes: [...bytes],
      },
      201,
    )
  })
  const result = await lambdaHttp(app)(
    httpEvent({
      method: 'POST',
      rawPath: '/notify/t%20k',
      rawQueryString: 'q=1%2B1',
      headers: { authorization: 'Bearer x' },
      cookies: ['s=1', 't=2'],
      body: Buffer.from([0x1f, 0x8b, 0xff]).toString('base64'),
      isBase64Encoded: true,
    }),
  )
  expect(result).toMatchObject({ statusCode: 201, cookies: ['a=1', 'b=2'], isBase64Encoded: true })
  expect(JSON.parse(Buffer.from(result.body ?? '', 'base64').toString())).toEqual({
    token: 't k',
    q: '1+1',
    auth: 'Bearer x',
    cookie: 's=1; t=2',
    bytes: [0x1f, 0x8b, 0xff],
  })
})

test('requests without body and answers without body pass', async () => {
  const result = await lambdaHttp(new Hono().get('/', (c) => c.body(null, 204)))(httpEvent({}))
  expect(result).toMatchObject({ statusCode: 204, body: '' })
})
