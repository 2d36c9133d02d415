/**
 * The packaged functions, called like by Lambda, with a real MariaDB, S3 and SQS: the deployed packages work.
 */
import { spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { childEnvironment } from '../../infra/local/environment.ts'
import { withBundles } from '../../infra/packaging/bundles.ts'
import { runOsls } from '../../infra/packaging/osls.ts'
import { encodeNotification } from '../../shared/messages/runs.ts'
import { findRuns } from '../../shared/queries/runs.ts'
import { startTestContext, type TestContext } from '../support/context.ts'

let context: TestContext
beforeAll(async () => {
  context = await startTestContext()
  await runOsls()
})
afterAll(() => context.close())

const CALL = `
const { handler } = require(process.argv[1])
const lambda = { awsRequestId: 'test', getRemainingTimeInMillis: () => 900000 }
handler(JSON.parse(process.argv[2]), lambda).then(
  (answer) => { console.log('ANSWER ' + JSON.stringify(answer ?? null)); process.exit(0) },
  (error) => { console.error(error); process.exit(1) },
)`

/** Calls a bundle's handler in a separate process; returns its answer. */
async function call(path: string, event: unknown): Promise<unknown> {
  const env = childEnvironment({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    CYGNET_NOTIFICATION_TOKEN: 't',
  })
  const child = spawn(process.execPath, ['-e', CALL, path, JSON.stringify(event)], {
    cwd: dirname(path),
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, problem] = await Promise.all([text(child.stdout), text(child.stderr)])
  const answer = /^ANSWER (.*)$/m.exec(out)?.[1]
  if (answer === undefined) throw new Error(`no answer: ${problem}${out}`)
  return JSON.parse(answer)
}

test('the packages handle a webhook call, a queue message and a scheduled run', async () => {
  const small = (runNumber: number) =>
    runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false, description: 'Ωmega, naïve – 55Fe' })
  await withBundles(async (bundles) => {
    const pathOf = (name: string) => bundles.find((bundle) => bundle.function === name)?.path ?? ''
    const arrival = await context.put('LNGS/run00001.mid.gz', await small(1))
    const http = {
      version: '2.0',
      rawPath: '/minio',
      rawQueryString: '',
      isBase64Encoded: false,
      body: encodeNotification([arrival]),
    }
    const answer = await call(pathOf('receive-notification'), {
      ...http,
      headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
      requestContext: { domainName: 'example.invalid', http: { method: 'POST', path: '/minio' } },
    })
    expect(answer).toMatchObject({ statusCode: 200 })
    const [message] = await context.drain('runs')
    const Records = [{ messageId: '1', body: JSON.stringify(message) }]
    expect(await call(pathOf('extract-metadata'), { Records })).toEqual({ batchItemFailures: [] })
    const [run] = await findRuns(context.database, { runNumber: 1 })
    expect(run).toMatchObject({ complete: true, tag: 'LNGS', description: 'Ωmega, naïve – 55Fe' })
    expect(await context.drain('tape-requests')).toHaveLength(1)
    await context.put('LNGS/run00002.mid.gz', await small(2))
    await call(pathOf('reconcile'), { time: new Date().toISOString() })
    const place = await context.database
      .selectFrom('reconciliations')
      .selectAll()
      .where('bucket', '=', context.bucket)
      .executeTakeFirst()
    expect(place).toMatchObject({ listed: 2, finishedAt: expect.any(Date) })
  })
})
