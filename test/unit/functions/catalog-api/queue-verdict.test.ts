/** What stands at the top of the page Queues: what is stuck, why, and what helps. */
import { expect, test } from 'vitest'
import { type QueuesShown, stuckWork } from '../../../../functions/catalog-api/pages/queue-verdict.ts'
import { QUEUES } from '../../../../shared/queue/queues.ts'

const NOW = new Date('2026-01-15T12:00:00Z')
const ago = (minutes: number) => new Date(NOW.getTime() - 60_000 * minutes)
const QUIET: QueuesShown = {
  states: QUEUES.map((queue) => ({ queue, depth: { waiting: 0, inFlight: 0 }, dead: 0, oldest: null })),
  oldest: new Map(),
  failing: null,
  breakers: [],
  copies: [],
  now: NOW,
}
const stuck = (changes: Partial<QueuesShown>) => stuckWork({ ...QUIET, ...changes })
const copy = {
  tag: 'LNGS',
  kind: 'tape',
  state: 'failed',
  priority: 'live',
  count: 2,
  sizeBytes: 1,
  oldest: ago(300),
  failing: 0,
  givenUp: false,
  lastError: 'the endpoint answered 507',
} as const

test('nothing is stuck where every queue answers and nothing fails or is late', () => {
  expect(stuckWork(QUIET)).toEqual([])
  expect(stuck({ oldest: new Map([['runs', ago(29)]]) })).toEqual([])
  expect(stuck({ copies: [{ ...copy, state: 'copying', lastError: null }] })).toEqual([])
})

test('dead letters name the buttons that help', () => {
  const states = QUIET.states.map((state) => (state.queue === 'runs' ? { ...state, dead: 3 } : state))
  expect(stuck({ states })).toMatchObject([
    { what: '3 dead letters of runs', path: '#dead-runs', helps: expect.stringContaining('“Retry”') },
  ])
})

test('a dependency that fails has its error, since when, and when it is tried again', () => {
  const breaker = {
    dependency: 'store:cygno-data',
    openSince: ago(12),
    probeAt: ago(-1),
    lastError: 'the store answered 503',
  }
  expect(stuck({ breakers: [breaker] })).toMatchObject([
    {
      what: 'the bucket cygno-data fails',
      why: 'the store answered 503',
      since: ago(12),
      next: ago(-1),
      helps: expect.stringContaining('No button is needed'),
    },
  ])
  const tape = { ...breaker, dependency: 'tape:davs://tape.example.org' }
  expect(stuck({ breakers: [tape] })[0]?.what).toBe('the tape endpoint davs://tape.example.org fails')
})

test('failed and failing copies have their error and lead to the runs', () => {
  expect(stuck({ copies: [copy] })).toMatchObject([
    {
      what: 'LNGS: 2 copies to tape failed',
      path: '/runs?tag=LNGS&problem=tape-failed',
      why: 'the endpoint answered 507',
    },
  ])
  expect(stuck({ copies: [{ ...copy, state: 'requested', failing: 1 }] })[0]?.what).toBe(
    'LNGS: 1 copy to tape failing (requested)',
  )
})

test('copies and recalls that were given up need somebody, and are not said to be tried again', () => {
  const verdict = (changes: Partial<typeof copy> | object) => stuck({ copies: [{ ...copy, ...changes }] })[0]
  expect(verdict({})?.helps).toContain('Tried again every six hours')
  const gone = verdict({ givenUp: true, lastError: 'the store no longer has these contents' })
  expect(gone?.what).toBe('LNGS: 2 copies to tape failed, not tried again')
  expect(gone?.helps).toMatch(/not tried again by itself.*on the DAQ's disk and push it again/)
  expect(verdict({ kind: 'recall', givenUp: true })?.helps).toContain('request the recall again')
  expect(verdict({ kind: 'recall' })?.helps).toBe('Tried again by itself after growing delays.')
})

test('work that is due for long is late, except where nothing reads the queue yet', () => {
  expect(stuck({ oldest: new Map([['tape-requests', ago(31)]]) })).toMatchObject([
    { tone: 'waiting', what: 'copies to tape are late (tape-requests)', since: ago(31) },
  ])
  expect(stuck({ oldest: new Map([['reco-requests', ago(9999)]]) })).toEqual([])
})
