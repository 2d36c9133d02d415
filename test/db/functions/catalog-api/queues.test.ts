import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerHealth } from '../../../../functions/catalog-api/api/health.ts'
import { registerQueues } from '../../../../functions/catalog-api/api/queues.ts'
import { QUEUES } from '../../../../shared/queue/queues.ts'
import { signal } from '../../../support/context.ts'
import { ANONYMOUS, caller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: RestApp
const OPERATOR = caller('operate:*')

beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp(context, registerQueues)
})
afterAll(() => context.close())

const request = (key: string) =>
  JSON.stringify({
    tag: 'LNGS',
    runNumber: 1,
    bucket: 'cygno-data',
    key,
    sha256: 'a'.repeat(64),
    priority: 'live',
  })
const letters = async () => (await app.get('/api/v1/dead/tape-requests', OPERATOR)).json.letters

describe('the queues', () => {
  test('report their depth and since when the oldest work has been waiting', async () => {
    const waits = new Date('2026-01-15T08:00:00Z')
    await context.queues.send('runs', ['{}', '{}'], signal)
    await context.database
      .insertInto('outbox')
      .values({
        name: 'tape-1',
        queue: 'tape-requests',
        body: '{}',
        runId: null,
        createdAt: waits,
        sentAt: null,
      })
      .execute()
    const { status, json } = await app.get('/api/v1/queues', OPERATOR)
    expect(status).toBe(200)
    expect(json.queues.map((each: { queue: string }) => each.queue)).toEqual([...QUEUES])
    expect(json.queues).toContainEqual({ queue: 'runs', waiting: 2, inFlight: 0, dead: 0, oldest: null })
    expect(json.queues).toContainEqual({
      queue: 'tape-requests',
      waiting: 0,
      inFlight: 0,
      dead: 0,
      oldest: waits.toISOString(),
    })
  })

  test('are reported when they do not answer, without affecting the others', async () => {
    const silent = restApp(
      { ...context, queues: { ...context.queues, depth: () => Promise.reject(new Error('refused')) } },
      registerQueues,
    )
    const { status, json } = await silent.get('/api/v1/queues', OPERATOR)
    expect(status).toBe(200)
    expect(json.queues[0]).toMatchObject({ queue: 'runs', waiting: null, inFlight: null, dead: null })
  })

  test('need the right to operate all tags', async () => {
    for (const path of ['/api/v1/queues', '/api/v1/dead/runs']) {
      expect((await app.get(path, caller('operate:LNGS', 'read:*'))).status).toBe(403)
      expect((await app.get(path, ANONYMOUS)).status).toBe(401)
    }
    expect((await app.post('/api/v1/dead/runs/x/retry', {}, caller('operate:LNGS'))).status).toBe(403)
  })
})

describe('dead letters', () => {
  test('are listed with their subject, and a single one can be sent back', async () => {
    await context.queues.send(
      'tape-requests-dead',
      [request('LNGS/run1.mid.gz'), request('LNGS/run2.mid.gz')],
      signal,
    )
    const before = await letters()
    expect(before.map((letter: { about: string }) => letter.about).toSorted()).toEqual([
      'cygno-data/LNGS/run1.mid.gz',
      'cygno-data/LNGS/run2.mid.gz',
    ])
    const chosen = before.find((letter: { about: string }) => letter.about.includes('run2'))
    const { status, json } = await app.post(`/api/v1/dead/tape-requests/${chosen.id}/retry`, {}, OPERATOR)
    expect([status, json]).toEqual([200, { queue: 'tape-requests', retried: 1 }])
    expect(await context.drain('tape-requests')).toEqual([
      expect.objectContaining({ key: 'LNGS/run2.mid.gz' }),
    ])
    expect((await letters()).map((letter: { about: string }) => letter.about)).toEqual([
      'cygno-data/LNGS/run1.mid.gz',
    ])
  })

  test('that are not there cannot be sent back', async () => {
    expect((await app.post('/api/v1/dead/tape-requests/nothing/retry', {}, OPERATOR)).status).toBe(404)
    expect((await app.post('/api/v1/dead/secrets/nothing/retry', {}, OPERATOR)).status).toBe(400)
    expect((await app.get('/api/v1/dead/runs-dead', OPERATOR)).status).toBe(400)
    expect(await letters()).toHaveLength(1)
  })
})

describe('a dead letter whose work is finished', () => {
  const key = 'LNGS/run77.mid.gz'

  test('has the state of its work, and can be dismissed', async () => {
    await context.putRun(key, Buffer.from('the bytes of run 77'))
    const body = JSON.stringify({
      Records: [
        {
          eventName: 'ObjectCreated:Put',
          s3: { bucket: { name: context.bucket }, object: { key } },
        },
      ],
    })
    await context.queues.send('runs-dead', [body], signal)
    const [letter] = (await app.get('/api/v1/dead/runs', OPERATOR)).json.letters
    expect(letter).toMatchObject({ about: `${context.bucket}/${key}`, state: 'done', finished: true })
    const dismiss = `/api/v1/dead/runs/${letter.id}/dismiss`
    expect((await app.post(dismiss, {}, caller('operate:LNGS'))).status).toBe(403)
    const { status, json } = await app.post(dismiss, {}, OPERATOR)
    expect([status, json]).toEqual([200, { queue: 'runs', dismissed: 1 }])
    expect((await app.post(dismiss, {}, OPERATOR)).status).toBe(404)
    expect((await app.get('/api/v1/dead/runs', OPERATOR)).json.letters).toEqual([])
  })
})

describe('health', () => {
  test('is open to everyone, as is readiness', async () => {
    const health = restApp(context, registerHealth)
    expect(await health.get('/healthz', ANONYMOUS)).toMatchObject({ status: 200, json: { status: 'ok' } })
    expect(await health.get('/readyz', ANONYMOUS)).toMatchObject({
      status: 200,
      json: { status: 'ok', database: 'ok', store: 'ok' },
    })
  })

  test('reports which part does not answer, and nothing else', async () => {
    const config = {
      ...context.config,
      store: { ...context.config.store, rawBuckets: ['there-is-no-such-bucket'] },
    }
    const { status, json } = await restApp({ ...context, config }, registerHealth).get('/readyz', ANONYMOUS)
    expect([status, json]).toEqual([503, { status: 'unavailable', database: 'ok', store: 'unavailable' }])
  })

  test('checks the parts once for simultaneous requests', async () => {
    let at = new Date()
    let asked = 0
    const send = async () => {
      asked++
    }
    const s3 = { send } as never
    const health = restApp({ ...context, s3, now: () => at }, registerHealth)
    await Promise.all([health.get('/readyz'), health.get('/readyz'), health.get('/readyz')])
    expect(asked).toBe(1)
    at = new Date(at.getTime() + 5000)
    await health.get('/readyz')
    expect(asked).toBe(2)
  })
})
