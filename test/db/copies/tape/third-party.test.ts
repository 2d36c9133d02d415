/** Third-party copies that always fail, on the WebDAV endpoint of the tests: the files are streamed in the end. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { describeObject } from '../../../../shared/storage/objects.ts'
import { signal } from '../../../support/context.ts'
import { startHttpServer } from '../../../support/http-server.ts'
import { deleteFromStore, makeRun, type TestRun } from '../../../support/recalled-runs.ts'
import { advanceRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'
import { startWebdavFixture, type WebdavFixture } from '../../../support/webdav-fixture.ts'
import type { Met } from '../../../support/webdav-server.ts'

const FAILURES = 3

let endpoint: WebdavFixture
let context: TestTapeContext
let clockMs: number
beforeEach(async () => {
  clockMs = Date.now()
  endpoint = await startWebdavFixture()
  context = await startTestTapeContext({
    driver: () => endpoint.driver,
    now: () => new Date(clockMs),
  })
})
afterEach(async () => {
  await Promise.all([context.close(), endpoint.close()])
})

/** Every function has a driver of its own, which knows nothing of the attempts of others. */
const inNewFunction = async <T>(work: (context: TestTapeContext) => Promise<T>): Promise<T> => {
  const { driver } = await startWebdavFixture({}, endpoint)
  try {
    return await work({ ...context, tape: driver })
  } finally {
    await driver.close()
  }
}
const untilDue = async () => {
  const due = await context.database.selectFrom('tasks').select('nextAttemptAt').execute()
  clockMs = Math.max(clockMs, ...due.map(({ nextAttemptAt }) => nextAttemptAt.getTime())) + 1000
  await context.database.deleteFrom('breakers').execute()
}

const request = async ({ key, tag, runNumber, sha256 }: TestRun) =>
  await acceptTapeRequest(context, { tag, runNumber, bucket: context.bucket, key, sha256, priority: 'live' })
const copies = async () =>
  await context.database.selectFrom('copies').selectAll().where('kind', '=', 'tape').execute()

const someBytesThen =
  (lastLine: string) =>
  ({ response }: Met) =>
    void response.writeHead(202).end(`Perf Marker\nStripe Bytes Transferred: 1000\nEnd\n${lastLine}`)

test.each<[string, (met: Met) => void]>([
  ['ends with a failure after some bytes', someBytesThen('failure: connection reset by peer')],
  ['breaks off after some bytes', someBytesThen('')],
  ['is answered with 500', ({ response }) => void response.writeHead(500).end()],
  [
    'breaks off with the connection',
    ({ response }) => {
      response.writeHead(202)
      response.write('Perf Marker\nStripe Bytes Transferred: 1000\nEnd\n', () => response.destroy())
    },
  ],
])('a file whose third-party copy always %s is streamed after three of them', async (_, failing) => {
  endpoint.server.meet('COPY', failing, 1000)
  const run = await makeRun(context, 1)
  await request(run)
  for (let failure = 1; failure <= FAILURES; failure++) {
    expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('requested')
    expect([endpoint.count('COPY'), endpoint.count('PUT')]).toEqual([failure, 0])
    await untilDue()
  }
  expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('on-media')
  expect([endpoint.count('COPY'), endpoint.count('PUT')]).toEqual([FAILURES, 1])
  expect(await copies()).toMatchObject([{ state: 'on-media', lastError: null }])
  // Another file is fetched by the endpoint itself again.
  await request(await makeRun(context, 2))
  await inNewFunction((own) => copyNext(own, signal, own.log))
  expect(endpoint.count('COPY')).toBe(FAILURES + 1)
})

test('a COPY that does not reach the endpoint is no reason to stream its files later', async () => {
  const run = await makeRun(context, 1)
  await request(run)
  for (let outage = 1; outage <= FAILURES; outage++) {
    // The endpoint answers all requests before the COPY, which is sent to an address where nothing listens.
    const away = await startHttpServer(() => {})
    await away.close()
    endpoint.server.meet(
      'COPY',
      ({ response }) => void response.writeHead(307, { location: `${away.origin}/cygno/` }).end(),
    )
    expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('requested')
    expect([endpoint.count('COPY'), endpoint.count('PUT')]).toEqual([outage, 0])
    await untilDue()
  }
  expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('on-media')
  expect([endpoint.count('COPY'), endpoint.count('PUT')]).toEqual([FAILURES + 1, 0])
})

test.each([401, 429, 502, 503, 504, 507])(
  'a COPY that is answered %i, as during a maintenance, is no reason to stream the file later',
  async (status) => {
    await request(await makeRun(context, 1))
    for (let outage = 1; outage <= FAILURES; outage++) {
      // A refused token is renewed, and the request repeated once.
      endpoint.server.meet(
        'COPY',
        ({ response }) => void response.writeHead(status).end(),
        status === 401 ? 2 : 1,
      )
      expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('requested')
      await untilDue()
    }
    expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('on-media')
    expect(endpoint.count('PUT')).toBe(0)
  },
)

test('third-party copies that failed are forgotten a day after the last one', async () => {
  await request(await makeRun(context, 1))
  endpoint.server.meet('COPY', someBytesThen('failure: connection reset by peer'), FAILURES)
  for (let failure = 1; failure <= FAILURES; failure++) {
    await inNewFunction((own) => copyNext(own, signal, own.log))
    await untilDue()
  }
  // The links of a clock that is a day ahead would not be valid.
  const [{ reference } = { reference: null }] = await context.database
    .selectFrom('tasks')
    .selectAll()
    .execute()
  expect(reference).toEqual({ thirdPartyFailures: expect.stringMatching(/^3 .*Z$/) })
  const longAgo = new Date(clockMs - 90_000_000).toISOString()
  const older = JSON.stringify({ thirdPartyFailures: `3 ${longAgo}` })
  await context.database.updateTable('tasks').set({ reference: older }).execute()
  expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('on-media')
  expect([endpoint.count('COPY'), endpoint.count('PUT')]).toEqual([FAILURES + 1, 0])
})

test.each<[string, number, (met: Met) => Promise<void> | void]>([
  ['breaks off after some bytes', FAILURES, someBytesThen('failure: connection reset by peer')],
  [
    'sends other bytes',
    2,
    async ({ request, response }) => {
      await fetch(String(request.headers.destination), { method: 'PUT', body: 'other bytes' })
      response.writeHead(201).end('success: Created')
    },
  ],
  [
    'sends nothing and reports success',
    FAILURES,
    ({ response }) => void response.writeHead(201).end('success: Created'),
  ],
])('a recall whose third-party copy always %s is streamed after %i of them', async (_, failures, failing) => {
  const run = await makeRun(context, 1)
  await request(run)
  expect(await inNewFunction((own) => copyNext(own, signal, own.log))).toBe('on-media')
  await deleteFromStore(context, run)
  const { files } = await requestRecall(
    context,
    { runNumber: 1, tag: 'LNGS' },
    { days: 7, requestedBy: 'test' },
    context.now(),
    signal,
  )
  expect(files).toHaveLength(1)
  endpoint.server.log.length = 0
  endpoint.server.meet('COPY', failing, 1000)
  const id = files[0]?.replicaId ?? 0
  const advance = (own: TestTapeContext) => advanceRecall(own, id, signal, own.log)
  for (let failure = 1; failure <= failures; failure++) {
    expect(await inNewFunction(advance)).toBe('failed')
    expect(endpoint.count('COPY')).toBe(failure)
    await untilDue()
  }
  expect(await inNewFunction(advance)).toBe('present')
  expect(endpoint.count('COPY')).toBe(failures)
  const object = await describeObject(context.s3, { bucket: context.bucket, key: run.key }, signal)
  expect(object?.sizeBytes).toBe(run.bytes.length)
})
