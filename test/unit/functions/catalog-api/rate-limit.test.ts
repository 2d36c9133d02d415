import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { problemHandler } from '../../../../functions/catalog-api/http/problem.ts'
import { rateLimit } from '../../../../functions/catalog-api/http/rate-limit.ts'
import type { ApiEnvironment } from '../../../../functions/catalog-api/http/route.ts'
import type { Caller } from '../../../../shared/access/caller.ts'
import { createLogger } from '../../../../shared/log.ts'

function limited(requestsPerMinute: number) {
  let at = 0
  let caller: Caller
  let address: string | null
  const app = new Hono<ApiEnvironment>()
  app.onError(problemHandler(createLogger({ function: 'test', level: 'silent' })))
  app.use(async (c, next) => {
    c.set('caller', caller)
    await next()
  })
  app.use(
    rateLimit({
      requestsPerMinute,
      now: () => new Date(at),
      addressOf: () => address,
      exempt: new Set(['/healthz']),
    }),
  )
  app.get('*', (c) => c.text('ok'))
  return {
    ask: async (path = '/', as = 'person:ada', from: string | null = null) => {
      caller = { kind: as === 'anonymous' ? as : 'person', subject: as, name: as, scopes: [] }
      address = from
      return await app.request(path)
    },
    wait: (seconds: number) => {
      at += seconds * 1000
    },
  }
}
const times = async (count: number, ask: () => Promise<Response>) => {
  const statuses: number[] = []
  for (let index = 0; index < count; index++) statuses.push((await ask()).status)
  return statuses
}

describe('a caller with too many requests', () => {
  test('is refused when a minute’s requests are used up, with the time to retry after', async () => {
    const { ask } = limited(3)
    expect(await times(3, ask)).toEqual([200, 200, 200])
    const refused = await ask()
    expect(refused.status).toBe(429)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(refused.headers.get('retry-after')).toBe('20')
    expect(refused.headers.get('ratelimit-remaining')).toBe('0')
  })

  test('may come again after exactly that time', async () => {
    const { ask, wait } = limited(3)
    await times(4, ask)
    wait(19)
    expect((await ask()).status).toBe(429)
    wait(1)
    expect(await times(2, ask)).toEqual([200, 429])
    wait(3600)
    expect(await times(4, ask)).toEqual([200, 200, 200, 429])
  })

  test('does not affect other callers', async () => {
    const { ask } = limited(1)
    await times(2, ask)
    expect((await ask('/', 'token:12')).status).toBe(200)
    expect((await ask()).status).toBe(429)
  })

  test('sees in every answer how many requests are left', async () => {
    const { ask } = limited(60)
    await ask()
    const { headers } = await ask()
    expect([
      headers.get('ratelimit-limit'),
      headers.get('ratelimit-remaining'),
      headers.get('ratelimit-reset'),
    ]).toEqual(['60', '58', '2'])
    expect(headers.get('ratelimit-policy')).toBe('60;w=60')
  })
})

test('health checks are not counted', async () => {
  const { ask } = limited(1)
  expect(await times(5, () => ask('/healthz'))).toEqual([200, 200, 200, 200, 200])
  expect((await ask()).status).toBe(200)
})

test('a limit of 0 means no limit', async () => {
  expect(await times(50, limited(0).ask)).not.toContain(429)
})

test('a clock that is set back gives nothing and takes nothing', async () => {
  const { ask, wait } = limited(2)
  await ask()
  wait(-3600)
  expect(await times(2, ask)).toEqual([200, 429])
})

test('invented callers fill no memory, and none is refused for another’s sake', async () => {
  const { ask } = limited(1)
  for (let index = 0; index < 10_050; index++) await ask('/', `person:${index}`)
  expect((await ask('/', 'person:10049')).status).toBe(429)
  expect((await ask('/', 'person:0')).status).toBe(200)
})

describe('an anonymous caller', () => {
  test('is counted by address, so that one does not keep out the others', async () => {
    const { ask } = limited(2)
    expect(await times(3, () => ask('/', 'anonymous', '192.0.2.1'))).toEqual([200, 200, 429])
    expect(await times(3, () => ask('/', 'anonymous', '192.0.2.2'))).toEqual([200, 200, 429])
  })

  test('is counted together with others where the host provides no address', async () => {
    const { ask } = limited(2)
    expect(await times(3, () => ask('/', 'anonymous'))).toEqual([200, 200, 429])
  })

  test('does not use up the limit of a signed-in caller at the same address', async () => {
    const { ask } = limited(1)
    await times(2, () => ask('/', 'anonymous', '192.0.2.1'))
    expect(await times(2, () => ask('/', 'person:ada', '192.0.2.1'))).toEqual([200, 429])
    expect((await ask('/', 'person:ada', '192.0.2.2')).status).toBe(429)
  })
})
