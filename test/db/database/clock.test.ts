/** The time of a process is that of the database, whatever its own clocks show. */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { startTestDatabase } from '../../../infra/local/testing.ts'
import { databaseTime, startClock } from '../../../shared/database/clock.ts'
import { type Database, openDatabase } from '../../../shared/database/connect.ts'
import { createLogger } from '../../../shared/log.ts'
import { database as databaseOpener, openContext } from '../../../shared/runtime/open-context.ts'
import { startTestContext } from '../../support/context.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'
import { LONGEST_WAIT_MS } from '../../support/waiting.ts'

const DAY_MS = 86_400_000
const log = createLogger({ function: 'test', level: 'silent' })

let server: Awaited<ReturnType<typeof startTestDatabase>>
let database: Database
beforeAll(async () => {
  server = await startTestDatabase()
  database = openDatabase(server.url, 2)
})
afterAll(async () => {
  await database.destroy()
  await server.drop()
})

/** Clocks of a machine that a test sets. */
function machine(wrongByMs: number) {
  let [wallMs, steadyMs] = [wrongByMs, 0]
  return {
    wallMs: () => Date.now() + wallMs,
    steadyMs: () => performance.now() + steadyMs,
    /** Only the clock by which the measurements are due goes on. */
    pass(ms: number) {
      steadyMs += ms
    },
    setWall(ms: number) {
      wallMs += ms
    },
    /** The steady clock stops meanwhile. */
    async suspend(ms: number) {
      const before = performance.now()
      await sleep(ms)
      steadyMs -= performance.now() - before
    },
  }
}

async function started(clocks: ReturnType<typeof machine>, on: Database = database, to = log) {
  const clock = await startClock(on, to, { differs: async () => {}, agrees: async () => {} }, clocks)
  onTestFinished(() => clock.close())
  return clock
}

/** Milliseconds by which it is behind the database; negative when it is ahead. */
const behind = async (clock: { now(): Date }) => {
  const now = clock.now()
  return (await databaseTime(database)).getTime() - now.getTime()
}
/** Of statements and of this machine's delays; far below what the clocks of the tests are wrong by. */
const TOLERANCE_MS = 60_000
const expectRight = async (clock: { now(): Date }) => {
  const ms = await behind(clock)
  expect(ms).toBeGreaterThanOrEqual(0)
  expect(ms).toBeLessThan(TOLERANCE_MS)
}

test.each([-2, 0, 2])('a process whose clock is %d days wrong has the time of the database', async (days) => {
  await expectRight(await started(machine(days * DAY_MS)))
})

test('a wall clock that is set does not change the time', async () => {
  const clocks = machine(0)
  const clock = await started(clocks)
  for (const ms of [-3_600_000, 2 * DAY_MS]) {
    clocks.setWall(ms)
    await expectRight(clock)
  }
})

test('after the machine was suspended the time is behind, never ahead, and right once it is measured', async () => {
  const clocks = machine(0)
  const clock = await started(clocks)
  await clocks.suspend(3000)
  expect(await behind(clock)).toBeGreaterThan(2000)
  await vi.waitUntil(async () => (await behind(clock)) < 2000, { timeout: LONGEST_WAIT_MS })
  await expectRight(clock)
})

test('clocks that differ are logged once for a difference, with the seconds', async () => {
  const right = recordingLog()
  await started(machine(0), database, right.log)
  expect(right.lines).toEqual([])
  const { log, lines } = recordingLog()
  const clocks = machine(-2 * DAY_MS)
  const clock = await started(clocks, database, log)
  await sleep(1100)
  clocks.setWall(3000)
  clock.now()
  await sleep(200)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'warn', event: 'clock-differs' })
  expect(Math.abs(Number(lines[0]?.seconds) + 2 * 86_400)).toBeLessThanOrEqual(60)
})

test('a database that fails over to a host with another clock is logged and alerted by a process that had logged before, and its return', async () => {
  // One connection: its session's clock is that of the host.
  const one = openDatabase(server.url, 1)
  onTestFinished(() => one.destroy())
  const { log, lines } = recordingLog()
  const clocks = machine(6000)
  const alerted: number[] = []
  const agreed: number[] = []
  const clock = await startClock(
    one,
    log,
    {
      differs: async (differenceMs) => void alerted.push(Math.round(differenceMs / 3_600_000)),
      agrees: async (differenceMs) => void agreed.push(Math.round(differenceMs / 3_600_000)),
    },
    clocks,
  )
  onTestFinished(() => clock.close())
  const measuredAs = (count: number) =>
    vi.waitUntil(
      () => {
        clocks.pass(61_000)
        return lines.length >= count
      },
      { timeout: LONGEST_WAIT_MS, interval: 1100 },
    )
  await measuredAs(1)
  await sql`SET timestamp = UNIX_TIMESTAMP() + 172800`.execute(one)
  await measuredAs(2)
  await sql`SET timestamp = DEFAULT`.execute(one)
  await measuredAs(3)
  clocks.setWall(-6000)
  await measuredAs(4)
  expect(lines.map(({ event }) => event)).toEqual([...Array(3).fill('clock-differs'), 'clock-agrees'])
  expect(new Set(alerted)).toEqual(new Set([-48]))
  // At the start, when a process before may have alerted, and once after the difference.
  expect(agreed).toEqual([0, 0])
})

test('a machine whose clock differs by more than a minute is alerted once a day, until it agrees again', async () => {
  const context = await startTestContext()
  onTestFinished(() => context.close())
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * DAY_MS })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  for (let process = 0; process < 2; process++)
    await (await openContext(context.config, 'wrong', [databaseOpener], log)).close()
  const rows = await context.database.selectFrom('outbox').select(['name', 'body']).execute()
  expect(rows.map(({ body }) => JSON.parse(body))).toMatchObject([
    { rule: 'clock-differs', summary: expect.stringContaining(`${hostname()} is 2880 minutes ahead of`) },
  ])
  vi.useRealTimers()
  for (let process = 0; process < 2; process++)
    await (await openContext(context.config, 'right', [databaseOpener], log)).close()
  // Folded by now, so that only an episode could be open.
  await context.database.updateTable('outbox').set({ foldedAt: new Date() }).execute()
  await (await openContext(context.config, 'right', [databaseOpener], log)).close()
  const ends = await context.database
    .selectFrom('outbox')
    .select('body')
    .where('name', 'like', 'resolved:%')
    .execute()
  const [{ fingerprint } = { fingerprint: '' }] = rows.map(({ body }) => JSON.parse(body))
  expect(ends.map(({ body }) => JSON.parse(body))).toMatchObject([{ kind: 'resolve', fingerprint }])
})

test('a slow answer of the database proves no difference of the clocks', async () => {
  const clocks = machine(0)
  const differences: number[] = []
  const reports = {
    differs: async (differenceMs: number) => void differences.push(differenceMs),
    agrees: async () => {},
  }
  let isSlow = false
  // Whoever reads the clocks last of a measurement reads them minutes after the answer was made.
  const steadyMs = () => {
    const now = clocks.steadyMs()
    if (isSlow) clocks.pass(150_000)
    isSlow = !isSlow
    return now
  }
  const wallMs = () => clocks.wallMs() - performance.now() + clocks.steadyMs()
  const clock = await startClock(database, log, reports, { wallMs, steadyMs })
  clock.close()
  expect(differences).toEqual([])
})

test('a process that starts while the database is down has no time, rather than a wrong one, until it answers', async () => {
  let isDown = true
  const refused = new Error('connect ECONNREFUSED')
  const flaky = new Proxy(database, {
    get(target, property) {
      if (property === 'getExecutor' && isDown) throw refused
      const value = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const clock = await started(machine(2 * DAY_MS), flaky)
  expect(() => clock.now()).toThrow(refused)
  isDown = false
  await vi.waitUntil(
    () => {
      try {
        return clock.now()
      } catch {
        return false
      }
    },
    { timeout: LONGEST_WAIT_MS },
  )
  await expectRight(clock)
  isDown = true
  await sleep(1100)
  await expectRight(clock)
})
