import { Hono } from 'hono'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createAddressOf } from '../../../../functions/catalog-api/access/client-address.ts'
import { holdRefusals } from '../../../../functions/catalog-api/http/hold-refusals.ts'
import type { ApiEnvironment } from '../../../../functions/catalog-api/http/route.ts'
import { repeatForAMinute } from '../../../support/repeat-for-a-minute.ts'
import { recordingLog } from '../../../support/runtime/recording-log.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function api() {
  const { log, lines } = recordingLog()
  const app = new Hono<ApiEnvironment>().use(holdRefusals(createAddressOf(0), log))
  for (const status of [200, 401, 403, 429] as const) app.get(`/${status}`, (c) => c.body(null, status))
  const ask = async (status: number, clientAddress = '192.0.2.7') =>
    await app.request(`/${status}`, {}, { clientAddress })
  return { app, ask, lines }
}

test.each([401, 403, 429])(
  'a client that repeats a request answered %i is slowed down, and has a line a minute',
  async (status) => {
    const { ask, lines } = api()
    const requests = await repeatForAMinute(() => ask(status))
    expect(requests).toBeLessThan(60)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(lines.length).toBeLessThanOrEqual(3)
    expect(lines.reduce((sum, { count }) => sum + Number(count), 0)).toBe(requests)
    expect(lines[0]).toMatchObject({ event: 'requests-refused', source: '192.0.2.7' })
  },
)

test('a client that repeats a refused request is slowed down also while the process is ending', async () => {
  const { app } = api()
  const end = new AbortController()
  const host = { clientAddress: '192.0.2.7', ending: end.signal }
  await repeatForAMinute(async () => await app.request('/401', {}, host), 25)
  end.abort()
  expect(await repeatForAMinute(async () => await app.request('/401', {}, host))).toBeLessThan(100)
})

test('a few refusals, as they happen to people, are neither delayed nor logged', async () => {
  const { ask, lines } = api()
  const began = performance.now()
  for (let request = 0; request < 20; request++) expect((await ask(403)).status).toBe(403)
  expect(performance.now()).toBe(began)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(lines).toEqual([])
})

test('other clients, and answers that are no refusals, are not delayed', async () => {
  const { ask } = api()
  await repeatForAMinute(() => ask(401))
  const began = performance.now()
  expect((await ask(401, '192.0.2.8')).status).toBe(401)
  expect((await ask(200)).status).toBe(200)
  expect(performance.now()).toBe(began)
})
