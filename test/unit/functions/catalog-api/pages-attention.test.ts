/** What stands at the top of Now: every trouble, and when there is none no more than what was looked at. */
import { describe, expect, test } from 'vitest'
import type { QueueState } from '../../../../functions/catalog-api/api/queue-states.ts'
import {
  attention,
  problemsOf,
  type SiteOverview,
} from '../../../../functions/catalog-api/pages/attention.ts'
import { createSingleFlight } from '../../../../functions/catalog-api/pages/single-flight.ts'
import type { Run } from '../../../../shared/database/schema.ts'
import type { Alert } from '../../../../shared/queries/alerts.ts'
import { NEVER_ARRIVED } from '../../../../shared/queries/site-arrivals.ts'
import type { CopiesInState, SiteState } from '../../../../shared/queries/site-state.ts'

const NOW = new Date('2026-01-15T08:00:00Z')
const minutesAgo = (minutes: number) => new Date(NOW.getTime() - 60_000 * minutes)

const NO_ARRIVALS = { arriving: { count: 0, oldest: null, atLeast: false }, refused: 0 }
const siteWith = (changes: Partial<SiteState> = {}): SiteState => ({
  tag: 'LNGS',
  last: { run: {} as Run, at: minutesAgo(60 * 24 * 90), isBegin: true },
  latest: [],
  arrived: NEVER_ARRIVED,
  awaited: [],
  recent: { runs: 0, withProblem: 0, sizeBytes: 0, atLeast: false },
  copies: [],
  untaped: null,
  ...NO_ARRIVALS,
  ...changes,
})
const copy = (changes: Partial<CopiesInState>): CopiesInState => ({
  kind: 'tape',
  state: 'requested',
  priority: 'live',
  count: 1,
  sizeBytes: 1,
  oldest: minutesAgo(5),
  failing: 0,
  givenUp: false,
  lastError: null,
  ...changes,
})
const queueWith = (changes: Partial<QueueState> = {}): QueueState => ({
  queue: 'runs',
  depth: { waiting: 0, inFlight: 0 },
  dead: 0,
  oldest: null,
  ...changes,
})
const alert = (severity: Alert['severity'], changes: Partial<Alert> = {}): Alert => ({
  id: 1,
  fingerprint: 'f',
  rule: 'rule',
  severity,
  state: 'firing',
  tag: null,
  runNumber: null,
  bucket: null,
  key: null,
  subject: '',
  summary: 'it happened',
  since: NOW,
  lastSeen: NOW,
  count: 1,
  acknowledgedAt: null,
  acknowledgedBy: null,
  comment: null,
  resolvedAt: null,
  resolvedBy: null,
  ...changes,
})
const looked = (changes: Partial<SiteOverview> = {}): SiteOverview => ({
  sites: { sites: [siteWith()], elsewhere: [] },
  alerts: [],
  mostAlerts: 50,
  heldTags: [],
  queues: [queueWith()],
  tapeLateHours: 24,
  now: NOW,
  ...changes,
})
const ofSite = (changes: Partial<SiteState>) =>
  problemsOf(looked({ sites: { sites: [siteWith(changes)], elsewhere: [] } }))
const words = (troubles: ReturnType<typeof problemsOf>) => troubles.map(({ what }) => what)
const arriving = (minutes: number) => ({
  arriving: { count: 3, oldest: minutesAgo(minutes), atLeast: false },
})

describe('a site', () => {
  test('that is silent for months is not a problem: it may be intended', () => {
    expect(problemsOf(looked())).toEqual([])
  })

  test.each([
    [
      'a run with an open problem',
      { recent: { runs: 2, withProblem: 1, sizeBytes: 1, atLeast: false } },
      'LNGS: 1 run of the last day with open problems',
    ],
    ['a file that was refused', { refused: 1 }, 'LNGS: 1 file refused'],
    [
      'runs that ended without a file',
      { awaited: [minutesAgo(600), minutesAgo(300), minutesAgo(5)] },
      'LNGS: 2 runs ended without a file, the first 10 h ago',
    ],
    ['files that wait too long', arriving(150), 'LNGS: 3 not catalogued yet, the oldest waiting for 2 h'],
    [
      'files that were not all counted',
      { arriving: { count: 0, oldest: null, atLeast: true } },
      'LNGS: more files wait or were refused than can be counted, of which tag is not known',
    ],
    ['a copy that failed', { copies: [copy({ state: 'failed' })] }, 'LNGS: 1 copy failed'],
    [
      'a copy that is gone',
      { copies: [copy({ kind: 'cloud', state: 'missing', count: 2 })] },
      'LNGS: 2 copies suspicious or missing',
    ],
    [
      'a copy that fails and is tried again',
      { copies: [copy({ count: 9, failing: 2, lastError: 'the endpoint answered 507' })] },
      'LNGS: 2 copies failing, will be retried: the endpoint answered 507',
    ],
    [
      'a new run that is late',
      { copies: [copy({ state: 'staged', oldest: minutesAgo(60 * 30) })] },
      'LNGS: a new run has been waiting for tape for 30 h',
    ],
    [
      'runs of which nobody has requested a copy',
      { untaped: { runs: 3, first: { runNumber: 1, arrivedAt: minutesAgo(60 * 72) }, atLeast: false } },
      'LNGS: 3 runs without any copy on tape, the first arrived 3 d ago',
    ],
    [
      'a recall that nobody begins',
      { copies: [copy({ kind: 'recall', oldest: minutesAgo(45) })] },
      'LNGS: a recall has been waiting to start for 45 min',
    ],
  ] satisfies readonly (readonly [string, Partial<SiteState>, string])[])('with %s', (_, changes, what) => {
    expect(words(ofSite(changes))).toEqual([what])
  })

  test.each([
    ['files on their way', arriving(20)],
    ['copies on their way', { copies: [copy({}), copy({ state: 'copying' }), copy({ kind: 'recall' })] }],
    [
      'an archive that is copied to tape for days',
      { copies: [copy({ priority: 'backlog', oldest: minutesAgo(60 * 100) })] },
    ],
  ] satisfies readonly (readonly [string, Partial<SiteState>])[])('with %s is well', (_, changes) => {
    expect(ofSite(changes)).toEqual([])
  })

  test('without a run yet is reported as well', () => {
    const elsewhere = [
      { tag: 'NEW', ...NO_ARRIVALS, ...arriving(40) },
      { tag: null, ...NO_ARRIVALS, refused: 2 },
    ]
    expect(words(problemsOf(looked({ sites: { sites: [], elsewhere } })))).toEqual([
      'NEW: 3 not catalogued yet, the oldest waiting for 40 min',
      'without a tag: 2 files refused',
    ])
  })
})

describe('alerts', () => {
  test('that fire are troubles from warnings on, the worst first, until they are acknowledged', () => {
    const alerts = [alert('info'), alert('warning'), alert('page'), alert('warning')]
    expect(problemsOf(looked({ alerts })).map(({ tone, what }) => [tone, what])).toEqual([
      ['bad', '1 alert for the person on call fires'],
      ['waiting', '2 warnings fire'],
    ])
    const seen = { state: 'acknowledged', acknowledgedBy: 'ada', acknowledgedAt: NOW } as const
    expect(problemsOf(looked({ alerts: [alert('page', seen), alert('error', seen)] }))).toEqual([])
  })

  test('of tags whose old objects wait for a take-over time are problems for as long as they wait', () => {
    const heldTags = ['LNGS', null]
    expect(words(problemsOf(looked({ heldTags })))).toEqual([
      'LNGS: old objects wait for a take-over time (cygnet adopt)',
      'without a tag: old objects wait for a take-over time (cygnet adopt)',
    ])
  })

  test('beyond those that are shown are not counted as if there were none', () => {
    expect(words(problemsOf(looked({ alerts: [alert('error'), alert('error')], mostAlerts: 2 })))).toEqual([
      '2+ errors fire',
    ])
  })
})

describe('a queue', () => {
  const ofQueue = (changes: Partial<QueueState>) =>
    words(problemsOf(looked({ queues: [queueWith(changes)] })))
  const waits = { depth: { waiting: 2, inFlight: 1 }, oldest: minutesAgo(40) }

  test('that does not answer, has dead letters, or is not read', () => {
    expect(ofQueue({ depth: null })).toEqual(['runs does not answer'])
    expect(ofQueue({ dead: 2 })).toEqual(['runs: 2 dead letters'])
    expect(ofQueue({ queue: 'tape-requests', ...waits })).toEqual([
      'tape-requests: 3 messages, the oldest waiting for 40 min',
    ])
  })

  test('whose messages may wait is not a problem', () => {
    expect(ofQueue({ queue: 'reco-requests', ...waits })).toEqual([])
    expect(ofQueue({ queue: 'tape-requests', ...waits, oldest: minutesAgo(10) })).toEqual([])
  })
})

describe('where there is no trouble', () => {
  test('the page states what was checked, and queues only to callers who may see them', async () => {
    const operator = String(await attention(looked()))
    expect(operator).toContain('mark good')
    for (const shown of [
      'Found no failed or doubtful copies',
      '30 min',
      '24 h for tape',
      'no refused file',
      'no run with an open problem',
      'no dead letters',
    ])
      expect(operator).toContain(shown)
    expect(operator).not.toMatch(/nothing is broken|all is well/i)
    expect(String(await attention(looked({ queues: [] })))).not.toMatch(/dead letters|queue/)
  })
})

describe('asking once', () => {
  test('many simultaneous callers get two results in all, none older than its request', async () => {
    const once = createSingleFlight<number>()
    let asked = 0
    let now = 0
    const ask = async () => {
      asked++
      const seen = now
      await new Promise((resolve) => setTimeout(resolve, 20))
      return seen
    }
    const first = once('all', ask)
    now = 1
    const others = Array.from({ length: 100 }, () => once('all', ask))
    expect(await first).toBe(0)
    expect(new Set(await Promise.all(others))).toEqual(new Set([1]))
    expect(asked).toBe(2)
    now = 2
    expect(await once('all', ask)).toBe(2)
  })

  test('callers with other rights get a result of their own, and a failure is not shared with later callers', async () => {
    const once = createSingleFlight<string>()
    const failed = once('a', () => Promise.reject(new Error('down')))
    const after = once('a', async () => 'a')
    expect(await once('b', async () => 'b')).toBe('b')
    await expect(failed).rejects.toThrow('down')
    expect(await after).toBe('a')
  })
})
