/** One file that cannot be had holds up neither the recalls of others nor its own end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import { advanceRecalls } from '../../../support/advance-recalls.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import { onlyOnTape } from '../../../support/recalled-runs.ts'
import { shownRecall, taskOfRecall } from '../../../support/recalls.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { startTapeRestServer, type TapeRestServer } from '../../../support/tape-rest-server.ts'
import { startWebdavFixture, type WebdavFixture } from '../../../support/webdav-fixture.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

let context: TestTapeContext
let fixture: WebdavFixture
let rest: TapeRestServer
let clockMs: number
let number = 7000

beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  fixture = await startWebdavFixture({ tapeRest: 'auto' })
  rest = await startTapeRestServer()
  const wellKnown = '/.well-known/wlcg-tape-rest-api'
  fixture.server.elsewhere.set(wellKnown, () => fetch(`${rest.origin}${wellKnown}`))
  clockMs = Date.now()
  for (const table of ['tasks', 'breakers', 'recalls'] as const)
    await context.database.deleteFrom(table).execute()
  await drainRaised(context)
})
afterEach(async () => {
  await fixture.close()
  await rest.close()
})

const here = () => ({ ...context, tape: fixture.driver, now: () => new Date(clockMs) })
/** Requests new runs that are only on tape, and already on the disk buffer there. */
async function requestRuns(count: number) {
  const { driver, server } = fixture
  const tape = { files: server.files, endpoint: driver.endpoint, url: driver.url }
  const requested: { readonly name: string; readonly id: number }[] = []
  for (let made = 0; made < count; made++) {
    const run = await onlyOnTape(here(), tape, ++number)
    const options = { days: 7, requestedBy: 'test' }
    const selector = { runNumber: number, tag: 'LNGS' }
    const { files } = await requestRecall(here(), selector, options, here().now(), signal)
    const name = `${context.bucket}/${run.key}`
    rest.localities.set(`/cygno/${name}`, 'DISK_AND_TAPE')
    requested.push({ name, id: files[0]?.replicaId ?? 0 })
  }
  return requested
}
type Requested = Awaited<ReturnType<typeof requestRuns>>
async function beat(count: number, stepMs = MINUTE) {
  for (let done = 0; done < count; done++) {
    await advanceRecalls(here(), signal, here().log)
    clockMs += stepMs
  }
}
const states = async (recalls: Requested) =>
  (await Promise.all(recalls.map(({ id }) => shownRecall(context.database, id)))).map(({ state }) => state)
const alerts = async () => (await drainRaised(context)).map(({ rule }) => rule)
/** Every question about these files is answered with this status. */
const refuse = (recalls: Requested, status: number) =>
  fixture.server.meet(
    'HEAD',
    async (met) => {
      if (recalls.some(({ name }) => name === met.name)) met.response.writeHead(status).end()
      else await met.proceed()
    },
    1e9,
  )

test.each([403, 500, 503, 504])(
  'the other files of many recalls come back with one request although one is always answered %i',
  async (status) => {
    const recalls = await requestRuns(5)
    refuse(recalls.slice(2, 3), status)
    await beat(8)
    const shown = await states(recalls)
    expect(shown.filter((state) => state === 'present')).toHaveLength(4)
    expect(rest.requests[0]?.paths).toHaveLength(4)
  },
)

test('many files of which a third are always answered 503 do not hold up the others', async () => {
  const recalls = await requestRuns(6)
  refuse([...recalls.slice(0, 1), ...recalls.slice(3, 4)], 503)
  await beat(12)
  const shown = await states(recalls)
  expect(shown.filter((state) => state === 'present')).toHaveLength(4)
})

describe.each([403, 503])('a recall alone whose file is always answered %i', (status) => {
  test('is given up after its time, with an alert', async () => {
    const recalls = await requestRuns(1)
    refuse(recalls, status)
    await beat(20)
    clockMs += context.config.recall.hours * HOUR
    await beat(4)
    expect(await states(recalls)).toEqual(['failed'])
    const task = await taskOfRecall(context.database, recalls[0]?.id ?? 0)
    expect(task).toMatchObject({ state: 'given-up', lastError: expect.stringContaining(String(status)) })
    expect(await alerts()).toContain('recall-failed')
    const open = context.database.selectFrom('breakers').selectAll().where('openSince', 'is not', null)
    expect(await open.execute()).toEqual([])
  })

  test('does not keep later recalls from coming back at once', async () => {
    refuse(await requestRuns(1), status)
    // Links of the store are refused if the clock is more than 15 minutes ahead.
    await beat(8)
    const later = await requestRuns(3)
    await beat(2)
    expect(await states(later)).toEqual(['present', 'present', 'present'])
  })
})

test('a file to which access is refused does not count as an outage of the endpoint', async () => {
  refuse(await requestRuns(1), 403)
  await beat(20)
  expect(await alerts()).toEqual([])
})

test('recalls of a folder to which access is refused end after their time and a week', async () => {
  const recalls = await requestRuns(3)
  refuse(recalls, 403)
  await beat(10)
  clockMs += context.config.recall.hours * HOUR + 7 * 24 * HOUR
  await beat(8)
  const tasks = await Promise.all(recalls.map(({ id }) => taskOfRecall(context.database, id)))
  expect(tasks.map((task) => task?.state)).toEqual(recalls.map(() => 'given-up'))
})
