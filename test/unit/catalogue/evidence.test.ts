/** What each finding about a copy does to its state: every case, as the table of docs/concepts.md. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  comparesContent,
  EVIDENCE,
  type Finding,
  isProven,
  isWeaker,
  type Standing,
  stateWithoutDeletion,
  weigh,
} from '../../../shared/catalogue/evidence.ts'
import type { CopyState, Evidence, ReplicaKind } from '../../../shared/database/replica-schema.ts'

const AT = new Date('2026-03-01T12:00:00Z')

const agrees = (evidence: Evidence): Finding => ({ result: 'agrees', evidence, by: 'a test', onMedia: true })
const contradicts = (result: 'absent' | 'differs', evidence: Evidence): Finding => ({
  result,
  evidence,
  reason: 'a test',
})
const copyOf = (
  kind: ReplicaKind,
  state: CopyState,
  doubt: Evidence | null,
  by: Evidence | null = null,
): Standing => ({
  kind,
  state,
  verifiedEvidence: by,
  doubtedEvidence: doubt,
})

const COLUMNS: readonly (readonly [head: string, finding: Finding])[] = [
  ['stated', agrees('statement')],
  ['exists', agrees('existence')],
  ['stored checksum agrees', agrees('stored-checksum')],
  ['read, agrees', agrees('read')],
  ['absent', contradicts('absent', 'existence')],
  ['other bytes', contradicts('differs', 'stored-checksum')],
  ['read, other bytes', contradicts('differs', 'read')],
]

const PLACES: readonly (readonly [name: string, kind: ReplicaKind, states: readonly CopyState[]])[] = [
  ['store', 'cloud', ['present', 'missing', 'suspicious', 'deleted', 'replaced']],
  ['tape', 'tape', ['planned', 'staged', 'on-media', 'missing', 'suspicious']],
  ["DAQ's disk", 'local', ['present', 'missing', 'deleted']],
]
const DOUBTED: readonly (CopyState | null)[] = ['missing', 'suspicious']
const DOUBTS: readonly Evidence[] = ['statement', 'existence', 'stored-checksum', 'read']

function tableOf(): string {
  const head = ['place', 'the copy is', ...COLUMNS.map(([name]) => name)]
  const rows = PLACES.flatMap(([place, kind, states]) =>
    states.flatMap((state) => {
      const doubts = !DOUBTED.includes(state) ? [null] : kind === 'local' ? ['statement' as const] : DOUBTS
      return doubts.map((doubt) => [
        place,
        doubt === null ? state : `${state}, by ${doubt}`,
        ...COLUMNS.map(([, finding]) => {
          const { state: to } = weigh(copyOf(kind, state, doubt), finding, AT)
          return to ?? '-'
        }),
      ])
    }),
  )
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

test('docs/concepts.md has the state that each finding leads to', () => {
  const concepts = readFileSync(fileURLToPath(new URL('../../../docs/concepts.md', import.meta.url)), 'utf8')
  expect(concepts).toContain(tableOf())
})

/** Every copy that a row can state, with what its verification rests on. */
const COPIES = PLACES.flatMap(([, kind, states]) =>
  [...states, ...(kind === 'tape' ? [] : (['deleting'] as const))].flatMap((state) =>
    [null, ...EVIDENCE].flatMap((doubt) => [null, ...EVIDENCE].map((by) => copyOf(kind, state, doubt, by))),
  ),
)
const FINDINGS = EVIDENCE.flatMap((evidence) => [
  agrees(evidence),
  contradicts('absent', evidence),
  contradicts('differs', evidence),
])
const CASES = COPIES.flatMap((copy) => FINDINGS.map((finding) => ({ copy, finding })))
const COUNTS: readonly (CopyState | null)[] = ['present', 'on-media', 'staged']

describe(`each of ${CASES.length} pairs of a copy and a finding`, () => {
  const results = CASES.map(({ copy, finding }) => ({ copy, finding, weighed: weigh(copy, finding, AT) }))
  const expectNone = (isWrong: (result: (typeof results)[number]) => boolean) =>
    expect(results.filter(isWrong).slice(0, 3)).toEqual([])

  test('existence and conclusions verify nothing', () => {
    expectNone(
      ({ finding: { evidence }, weighed }) =>
        (evidence === 'existence' || evidence === 'inference') && weighed.verifiedAt !== undefined,
    )
  })
  test('a statement verifies nothing in the store', () => {
    expectNone(
      ({ copy, finding: { evidence }, weighed }) =>
        copy.kind === 'cloud' && evidence === 'statement' && weighed.verifiedAt !== undefined,
    )
  })
  test('what agrees clears no stronger doubt, and leads to no state that counts', () => {
    expectNone(
      ({ copy: { doubtedEvidence: doubt }, finding, weighed }) =>
        doubt !== null &&
        finding.result === 'agrees' &&
        isWeaker(finding.evidence, doubt) &&
        (weighed.verifiedAt !== undefined ||
          weighed.doubtedEvidence !== undefined ||
          COUNTS.includes(weighed.state ?? null)),
    )
  })
  test('a comparison of checksums as strong as the doubt verifies the copy and clears it', () => {
    expectNone(
      ({ copy: { doubtedEvidence: doubt }, finding, weighed }) =>
        finding.result === 'agrees' &&
        comparesContent(finding.evidence) &&
        !(doubt !== null && isWeaker(finding.evidence, doubt)) &&
        !(weighed.verifiedEvidence === finding.evidence && weighed.doubtedEvidence === null),
    )
  })
  test('a contradiction never verifies, and leaves no copy that counts where one is expected', () => {
    expectNone(
      ({ copy, finding, weighed }) =>
        finding.result !== 'agrees' &&
        (weighed.verifiedAt !== undefined ||
          COUNTS.includes(weighed.state ?? null) ||
          (finding.evidence !== 'inference' &&
            COUNTS.includes(copy.state) &&
            (COUNTS.includes(weighed.state ?? copy.state) || weighed.doubtedEvidence == null))),
    )
  })
  test('a doubt is never replaced by a weaker one', () => {
    expectNone(
      ({ copy: { doubtedEvidence: before }, weighed: { doubtedEvidence: after } }) =>
        before !== null && after != null && isWeaker(after, before),
    )
  })
  test('a statement replaces no comparison of checksums', () => {
    expectNone(
      ({ copy, finding, weighed }) =>
        finding.evidence === 'statement' &&
        COUNTS.includes(copy.state) &&
        comparesContent(copy.verifiedEvidence) &&
        copy.doubtedEvidence === null &&
        weighed.verifiedEvidence !== undefined,
    )
  })
})

test('a deletion that is withdrawn leaves the state that the evidence has', () => {
  expect(stateWithoutDeletion(copyOf('cloud', 'deleting', null, 'read'))).toBe('present')
  expect(stateWithoutDeletion(copyOf('cloud', 'deleting', 'read', 'read'))).toBe('suspicious')
  expect(stateWithoutDeletion(copyOf('local', 'deleting', 'statement', 'statement'))).toBe('missing')
})

test('silence about a permitted deletion makes the file missing, and concludes nothing else', () => {
  const silence = contradicts('absent', 'inference')
  expect(weigh(copyOf('local', 'deleting', null, 'statement'), silence, AT)).toMatchObject({
    state: 'missing',
    doubtedEvidence: 'inference',
  })
  expect(weigh(copyOf('local', 'present', null, 'statement'), silence, AT)).toEqual({ checkedAt: AT })
})

describe('any sequence of findings', () => {
  const finding = fc.constantFrom(...FINDINGS)
  const sequences = fc.record({
    kind: fc.constantFrom('cloud' as const, 'tape' as const),
    findings: fc.array(finding, { maxLength: 30 }),
  })

  test('a copy counts as verified only if no contradiction is left that nothing as strong has answered', () => {
    fc.assert(
      fc.property(sequences, ({ kind, findings }) => {
        let copy = {
          ...copyOf(kind, kind === 'tape' ? 'on-media' : 'present', null, 'read' as Evidence | null),
          verifiedAt: AT as Date | null,
        }
        let open: readonly Evidence[] = []
        for (const next of findings) {
          const before = copy
          copy = { ...copy, ...weigh(copy, next, AT) }
          if (next.result === 'agrees') {
            const clears = comparesContent(next.evidence) || next.evidence === 'statement'
            if (
              clears &&
              open.every((doubt) => !isWeaker(next.evidence, doubt)) &&
              !(kind === 'cloud' && next.evidence === 'statement')
            )
              open = []
          } else if (next.evidence !== 'inference') open = [...open, next.evidence]
          const counts = COUNTS.includes(copy.state)
          expect({ next, before, counts, proven: isProven(copy) && counts }).toMatchObject({
            counts: open.length === 0,
            ...(open.length > 0 ? { proven: false } : {}),
          })
        }
      }),
      { numRuns: 500 },
    )
  })

  test('after a read found other bytes, nothing but a read makes the copy count again', () => {
    const others = fc.array(
      finding.filter(({ result, evidence }) => !(result === 'agrees' && evidence === 'read')),
      { maxLength: 20 },
    )
    fc.assert(
      fc.property(fc.constantFrom('cloud' as const, 'tape' as const), others, (kind, later) => {
        let copy: Standing = copyOf(kind, kind === 'tape' ? 'on-media' : 'present', null, 'read')
        for (const next of [contradicts('differs', 'read'), ...later]) {
          copy = { ...copy, ...weigh(copy, next, AT) }
          expect(COUNTS).not.toContain(copy.state)
        }
        copy = { ...copy, ...weigh(copy, agrees('read'), AT) }
        expect(COUNTS).toContain(copy.state)
        expect(copy.doubtedEvidence).toBeNull()
      }),
      { numRuns: 300 },
    )
  })
})
