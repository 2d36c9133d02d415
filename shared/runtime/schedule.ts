/** Runs a scheduled function without EventBridge, by the schedule expressions of serverless.yml. */
import { randomUUID } from 'node:crypto'
import type { ScheduledEvent } from 'aws-lambda'
import { Cron } from 'croner'
import { InvalidInputError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { runWithin } from '../time/limits.ts'
import { pause } from '../time/pause.ts'
import type { ScheduleHandler } from './handler.ts'

export interface ScheduleOptions {
  /** Name of the function; events name it as their rule. */
  readonly name: string
  /** `rate(5 minutes)` or `cron(0 3 * * ? *)`. */
  readonly expression: string
  readonly handler: ScheduleHandler
  readonly log: Logger
  /** Ends the schedule; a run in progress is finished within the grace period. */
  readonly signal: AbortSignal
  /** Longest time for one run. The manifest's timeout. */
  readonly timeoutSeconds?: number
  /** Each run starts up to this much later than its time, so that hosts do not act in step. */
  readonly jitterSeconds?: number
  /** Runs once at the start, before the first time of the schedule. */
  readonly runAtStart?: boolean
  readonly graceSeconds?: number
  readonly random?: () => number
}

/** The time of the next run after a moment; null when there is none. */
export type Schedule = (after: Date) => Date | null

/** The longest pause for a time on a clock that can be set. */
const PAUSE_MS = 60_000

const UNIT_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/**
 * Parses a schedule expression of EventBridge: `rate(<n> <minutes|hours|days>)`, or `cron(<minute> <hour>
 * <day of month> <month> <day of week> <year>)` in UTC with Sunday as 1
 * (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html).
 * @throws InvalidInputError that describes the error in the expression.
 */
export function parseSchedule(expression: string): Schedule {
  const [, kind, inner = ''] = /^\s*(rate|cron)\(\s*(.*?)\s*\)\s*$/.exec(expression) ?? []
  if (kind === 'rate') return parseRate(inner, expression)
  if (kind === 'cron') return parseCron(inner, expression)
  throw new InvalidInputError(`schedule "${expression}": expected rate(5 minutes) or cron(0 3 * * ? *)`)
}

function parseRate(rate: string, expression: string): Schedule {
  const [, count = '0', unit = ''] = /^(\d{1,6})\s+(minute|hour|day)s?$/.exec(rate) ?? []
  const periodMs = Number(count) * (UNIT_MS[unit] ?? 0)
  if (periodMs === 0)
    throw new InvalidInputError(`schedule "${expression}": expected a number of minutes, hours or days`)
  return (after) => new Date(after.getTime() + periodMs)
}

function parseCron(fields: string, expression: string): Schedule {
  const parts = fields.split(/\s+/)
  if (parts.length !== 6)
    throw new InvalidInputError(
      `schedule "${expression}": cron takes six fields, the last of which is the year`,
    )
  // EventBridge writes "?" for "any"; croner reads it as the current value.
  const pattern = ['0', ...parts].map((part) => (part === '?' ? '*' : part)).join(' ')
  try {
    const cron = new Cron(pattern, {
      mode: '7-part',
      timezone: 'UTC',
      alternativeWeekdays: true,
      sloppyRanges: true,
    })
    return (after) => cron.nextRun(after)
  } catch (cause) {
    throw new InvalidInputError(
      `schedule "${expression}": ${cause instanceof Error ? cause.message : 'not a cron expression'}`,
      {},
      { cause },
    )
  }
}

/**
 * Runs the handler by its schedule until the signal aborts; never two runs at once unless the handler permits it, and
 * times that pass during a run are skipped. Errors of a run are logged; the next one starts at its time.
 * @throws InvalidInputError when the expression is invalid.
 */
export async function runSchedule(options: ScheduleOptions): Promise<void> {
  const { signal, log, jitterSeconds = 0, random = Math.random } = options
  const schedule = parseSchedule(options.expression)
  const stop = new AbortController()
  let grace: NodeJS.Timeout | undefined
  const onAbort = () => {
    grace = setTimeout(() => stop.abort(), (options.graceSeconds ?? 25) * 1000)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  const now = clockOf(options.expression)
  const inProgress = new Set<Promise<void>>()
  /** Resolves when the next run may begin. */
  const begin = async (time: Date): Promise<void> => {
    const allowed = Promise.withResolvers<void>()
    const run = runOnce(options, time, stop.signal, allowed.resolve).finally(() => inProgress.delete(run))
    inProgress.add(run)
    await Promise.race([run, allowed.promise])
  }
  if (options.runAtStart === true && !signal.aborted) await begin(now())
  let planned: Date | null = schedule(now())
  while (planned !== null && !signal.aborted) {
    await pauseUntil(planned.getTime() + jitterSeconds * 1000 * random(), now, signal)
    if (signal.aborted) break
    await begin(planned)
    planned = nextAfter(schedule, planned, now())
  }
  await Promise.all(inProgress)
  log.info({ expression: options.expression }, planned === null ? 'schedule-over' : 'schedule-stopped')
  signal.removeEventListener('abort', onAbort)
  clearTimeout(grace)
}

/**
 * A rate counts on from the start on the steady clock: when the wall clock is set back, its runs go on. A cron
 * expression means times of the wall clock.
 */
function clockOf(expression: string): () => Date {
  if (!/^\s*rate\b/.test(expression)) return () => new Date()
  const startMs = Date.now() - performance.now()
  return () => new Date(startMs + performance.now())
}

async function pauseUntil(timeMs: number, now: () => Date, signal: AbortSignal): Promise<void> {
  const leftMs = () => timeMs - now().getTime()
  for (let left = leftMs(); left > 0 && !signal.aborted; left = leftMs())
    await pause(Math.min(left, PAUSE_MS), signal)
}

/**
 * The first time in the future: a rate keeps its phase, and times that passed during a long run are skipped.
 */
function nextAfter(schedule: Schedule, planned: Date, now: Date): Date | null {
  const next = schedule(planned)
  return next === null || next > now ? next : schedule(now)
}

async function runOnce(
  options: ScheduleOptions,
  time: Date,
  stop: AbortSignal,
  allowNext: () => void,
): Promise<void> {
  const event = scheduledEvent(options.name, time)
  const log = options.log.child({ invocation: event.id })
  const began = performance.now()
  try {
    await runWithin((signal) => options.handler(event, { signal, log, allowNext }), {
      timeoutSeconds: options.timeoutSeconds ?? 900,
      stop,
    })
  } catch (error) {
    log.error({ error, ms: Math.round(performance.now() - began) }, 'scheduled-run-failed')
  }
}

/** The event that EventBridge sends to a scheduled function. */
export function scheduledEvent(name: string, time: Date): ScheduledEvent {
  return {
    id: randomUUID(),
    version: '0',
    account: '000000000000',
    time: time.toISOString(),
    region: 'local',
    resources: [`arn:aws:events:local:000000000000:rule/${name}`],
    source: 'aws.events',
    'detail-type': 'Scheduled Event',
    detail: {},
  }
}
