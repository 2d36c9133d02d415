import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Invocation } from '../../../shared/runtime/handler.ts'
import { parseSchedule, runSchedule, type ScheduleOptions } from '../../../shared/runtime/schedule.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const START = new Date('2024-05-17T09:12:31Z')

describe('expressions of serverless.yml', () => {
  const after = START
  test.each([
    ['rate(1 minute)', '2024-05-17T09:13:31Z'],
    ['rate(5 minutes)', '2024-05-17T09:17:31Z'],
    ['rate(2 hours)', '2024-05-17T11:12:31Z'],
    ['rate(1 day)', '2024-05-18T09:12:31Z'],
    [' rate( 10  minutes ) ', '2024-05-17T09:22:31Z'],
    ['cron(0 3 * * ? *)', '2024-05-18T03:00:00Z'],
    ['cron(0/15 * * * ? *)', '2024-05-17T09:15:00Z'],
    ['cron(30 18 ? * MON-FRI *)', '2024-05-17T18:30:00Z'],
    ['cron(0 8 ? * 1 *)', '2024-05-19T08:00:00Z'],
    ['cron(0 8 1 * ? *)', '2024-06-01T08:00:00Z'],
    ['cron(0 8 L * ? *)', '2024-05-31T08:00:00Z'],
    ['cron(0 8 ? * 2#1 *)', '2024-06-03T08:00:00Z'],
    ['cron(15 10 ? * 6L *)', '2024-05-31T10:15:00Z'],
    ['cron(0 0 1 1 ? 2026)', '2026-01-01T00:00:00Z'],
  ])('%s', (expression, wanted) => {
    expect(parseSchedule(expression)(after)).toEqual(new Date(wanted))
  })

  test('a cron whose years are over has no next time', () => {
    expect(parseSchedule('cron(0 0 1 1 ? 2020)')(after)).toBeNull()
  })

  test.each([
    '',
    '5 minutes',
    'rate(0 minutes)',
    'rate(5 seconds)',
    'rate(-5 minutes)',
    'rate(1.5 hours)',
    'rate(5)',
    'cron(0 3 * * *)',
    'cron(0 3 * * ? * *)',
    'cron(61 3 * * ? *)',
    'cron(a b c d e f)',
    'at(2024-05-17T09:12:31)',
  ])('"%s" is refused with a sentence that names it', (expression) => {
    expect(() => parseSchedule(expression)).toThrow(`schedule "${expression}"`)
  })
})

describe('running', () => {
  beforeEach(() => vi.useFakeTimers({ now: START }))
  afterEach(() => vi.useRealTimers())

  function schedule(
    work: (time: string, invocation: Invocation) => Promise<void>,
    options: Partial<ScheduleOptions> = {},
  ) {
    const abort = new AbortController()
    const { log, lines } = recordingLog()
    const running = runSchedule({
      name: 'reconcile',
      expression: 'rate(5 minutes)',
      handler: (event, invocation) => work(event.time, invocation),
      log,
      signal: abort.signal,
      ...options,
    })
    const stop = async () => {
      abort.abort()
      await vi.advanceTimersByTimeAsync(0)
      return running
    }
    return { stop, abort, running, lines }
  }
  const minutes = (count: number) => vi.advanceTimersByTimeAsync(count * 60_000)

  test('runs at its times with the event that EventBridge would send', async () => {
    const times: string[] = []
    const { stop } = schedule(async (time) => void times.push(time))
    await minutes(4.9)
    expect(times).toEqual([])
    await minutes(10.2)
    expect(times).toEqual([
      '2024-05-17T09:17:31.000Z',
      '2024-05-17T09:22:31.000Z',
      '2024-05-17T09:27:31.000Z',
    ])
    await stop()
    await minutes(10)
    expect(times).toHaveLength(3)
  })

  test.each([
    ['back by an hour', -3_600_000],
    ['ahead by two days', 2 * 86_400_000],
  ])('a rate keeps its pace when the wall clock is set %s', async (_, ms) => {
    let runs = 0
    const { stop } = schedule(async () => void runs++)
    await minutes(6)
    expect(runs).toBe(1)
    vi.setSystemTime(Date.now() + ms)
    await minutes(10)
    expect(runs).toBe(3)
    await stop()
  })

  test('a cron follows the wall clock: set ahead it runs at once, set back it runs no time twice', async () => {
    const times: string[] = []
    const options = { expression: 'cron(0 12 * * ? *)' }
    const { stop } = schedule(async (time) => void times.push(time), options)
    await minutes(30)
    expect(times).toEqual([])
    vi.setSystemTime(new Date('2024-05-17T12:00:30Z'))
    await minutes(1)
    expect(times).toEqual(['2024-05-17T12:00:00.000Z'])
    vi.setSystemTime(new Date('2024-05-17T11:30:00Z'))
    await minutes(12 * 60)
    expect(times).toHaveLength(1)
    await stop()
  })

  test('runs at the start where asked to', async () => {
    const times: string[] = []
    const { stop } = schedule(async (time) => void times.push(time), { runAtStart: true })
    await minutes(0)
    expect(times).toEqual([START.toISOString()])
    await stop()
  })

  test('is never run twice at once: times that pass during a run are left out', async () => {
    let runs = 0
    let atOnce = 0
    let most = 0
    const { stop } = schedule(async () => {
      runs++
      most = Math.max(most, ++atOnce)
      await new Promise((resolve) => setTimeout(resolve, 12 * 60_000))
      atOnce--
    })
    await minutes(60)
    expect(most).toBe(1)
    expect(runs).toBeLessThanOrEqual(4)
    expect(runs).toBeGreaterThan(2)
    const stopped = stop()
    await minutes(13)
    await stopped
  })

  test('begins runs during another that permits it, and waits for all of them when it stops', async () => {
    const ends: (() => void)[] = []
    const { stop } = schedule(async (_, { allowNext }) => {
      allowNext?.()
      await new Promise<void>((resolve) => ends.push(resolve))
    })
    await minutes(16)
    expect(ends).toHaveLength(3)
    let hasStopped = false
    const stopped = stop().then(() => {
      hasStopped = true
    })
    for (const end of ends) {
      expect(hasStopped).toBe(false)
      end()
      await minutes(0)
    }
    await stopped
    expect(ends).toHaveLength(3)
  })

  test('a run that fails is logged, and the next one comes at its time', async () => {
    let runs = 0
    const { stop, lines } = schedule(async () => {
      if (++runs === 1) throw new Error('the store is down')
    })
    await minutes(10.1)
    expect(runs).toBe(2)
    expect(lines.filter((line) => line.event === 'scheduled-run-failed')).toMatchObject([
      { error: { message: 'the store is down' } },
    ])
    await stop()
  })

  test('starts are delayed by no more than the jitter', async () => {
    let runs = 0
    const { stop } = schedule(async () => void runs++, { jitterSeconds: 30, random: () => 0.5 })
    await minutes(5.2)
    expect(runs).toBe(0)
    await minutes(0.1)
    expect(runs).toBe(1)
    await stop()
  })

  test('stopping waits for the run in progress, and interrupts it after the grace period', async () => {
    let interrupted = false
    const { abort, running } = schedule(
      (_, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            interrupted = true
            reject(signal.reason)
          })
        }),
      { graceSeconds: 20 },
    )
    await minutes(5)
    abort.abort()
    await vi.advanceTimersByTimeAsync(19_000)
    expect(interrupted).toBe(false)
    await vi.advanceTimersByTimeAsync(1000)
    await running
    expect(interrupted).toBe(true)
  })
})
