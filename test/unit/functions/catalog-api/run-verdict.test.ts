/** What the page of a run answers first: what the run is, whether it is safe, and why. */
import { describe, expect, test } from 'vitest'
import { runVerdict } from '../../../../functions/catalog-api/pages/run-verdict.ts'
import { PROBLEM_KINDS } from '../../../../shared/catalogue/open-problems.ts'
import type { Copy } from '../../../../shared/database/replica-schema.ts'
import type { Run, RunFile } from '../../../../shared/database/schema.ts'
import type { RunDetails } from '../../../../shared/queries/runs.ts'

const NOW = new Date('2026-01-15T12:00:00Z')
const ago = (days: number) => new Date(NOW.getTime() - days * 86_400_000)
const SCRUB_DAYS = 90

const file = (changes: Partial<RunFile> = {}): RunFile => ({
  ...({} as RunFile),
  objectKey: 'LNGS/run12345.mid.gz',
  isLive: true,
  counts: true,
  integrity: 'verified',
  problem: null,
  problemOffset: null,
  digestsCompared: [],
  ...changes,
})

const copy = (changes: Partial<Copy> = {}): Copy => ({
  ...({} as Copy),
  kind: 'tape',
  state: 'on-media',
  url: 'davs://tape.example.org/cygno/LNGS/run12345.mid.gz',
  verifiedAt: ago(1),
  verifiedEvidence: 'read',
  doubtedEvidence: null,
  attempts: 0,
  lastError: null,
  nextAttemptAt: null,
  ...changes,
})

interface Case {
  readonly run?: Partial<Run>
  readonly storage?: Partial<RunDetails['storage']>
  readonly replicas?: readonly Copy[]
  readonly files?: readonly RunFile[]
}

function verdict({ run, storage, replicas = [copy()], files = [file()] }: Case = {}) {
  const details = {
    run: { ...({} as Run), problems: '', problem: null, firstFileAt: ago(2), isHistory: false, ...run },
    storage: { cloud: 'present', tape: 'on-media', local: null, ...storage } as const,
    files,
    refused: [],
    replicas,
  } as const
  return runVerdict(details, { scrubDays: SCRUB_DAYS, now: NOW }).map(({ tone, what, reason }) => [
    tone,
    what,
    reason,
  ])
}

describe('a run without problems', () => {
  test('is good only while its copy on tape was verified as lately as every copy should be', () => {
    expect(verdict()).toEqual([['good', 'complete and on tape', null]])
    expect(verdict({ replicas: [copy({ verifiedAt: ago(91) })] })).toEqual([
      ['old', 'complete and on tape', 'not verified in the last 90 days'],
    ])
    for (const changes of [
      { verifiedAt: null },
      { verifiedEvidence: 'statement' },
      { verifiedEvidence: 'existence' },
      { doubtedEvidence: 'existence' },
    ] as const)
      expect(verdict({ replicas: [copy(changes)] })[0]?.[0]).toBe('old')
    const [whole, old] = [copy(), copy({ verifiedAt: ago(200) })]
    expect(verdict({ replicas: [whole, old] })[0]?.[0]).toBe('old')
  })

  test('that is only on tape says that a recall is needed', () => {
    expect(verdict({ storage: { cloud: 'deleted' } })).toEqual([
      ['good', 'complete, only on tape', 'a recall brings it into the store'],
    ])
  })

  test('is never good without a copy on tape', () => {
    expect(verdict({ storage: { tape: 'under-way' }, replicas: [] })[0]?.slice(0, 2)).toEqual([
      'moving',
      'complete, copy to tape in progress',
    ])
    expect(verdict({ storage: { tape: 'none' }, replicas: [] })[0]?.[0]).toBe('waiting')
    expect(verdict({ storage: { tape: 'none' }, replicas: [], run: { isHistory: true } })[0]?.[0]).toBe('old')
  })
})

describe('a run with problems', () => {
  test.each(PROBLEM_KINDS)('is bad with %s, whatever its copies are', (kind) => {
    expect(verdict({ run: { problems: kind } }).map(([tone]) => tone)).toEqual(['bad'])
  })

  test('has a reason for each problem, the most severe first', () => {
    const found = verdict({
      run: { problems: 'disputed,incomplete', problem: 'the file ends in the middle of an event' },
      files: [
        file({
          integrity: 'mismatch',
          problem: 'the file ends in the middle of an event',
          problemOffset: 41_233_920,
          digestsCompared: [{ by: 'store', algorithm: 'md5', agrees: false }] as never,
        }),
      ],
    })
    expect(found).toEqual([
      ['bad', 'checksum mismatch', 'the md5 stated by the store is not that of LNGS/run12345.mid.gz'],
      ['bad', 'not complete', 'the file ends in the middle of an event (at byte 41\u202f233\u202f920)'],
    ])
  })

  test('has the error of a copy that fails, and of one that is failing', () => {
    const failed = copy({ state: 'failed', lastError: 'the endpoint answered 507', attempts: 6 })
    expect(
      verdict({ run: { problems: 'tape-failed' }, storage: { tape: 'failed' }, replicas: [failed] }),
    ).toEqual([['bad', 'no copy on tape: failed', 'the endpoint answered 507 (attempt 6)']])
    const failing = copy({ state: 'requested', lastError: 'the endpoint answered 403', attempts: 2 })
    expect(verdict({ storage: { tape: 'under-way' }, replicas: [failing] })).toEqual([
      ['bad', 'copy to tape is failing', 'the endpoint answered 403 (attempt 2)'],
    ])
  })

  test('without a file waits, with what is known', () => {
    expect(verdict({ run: { firstFileAt: null, problem: null }, files: [], replicas: [] })).toEqual([
      ['waiting', 'no file yet', null],
    ])
  })
})
