/** What pages show in green: only what was compared lately, and is contradicted by nothing. */
import { describe, expect, test } from 'vitest'
import { cloudMark, copyTone, runMark, tapeMark } from '../../../functions/catalog-api/pages/run-marks.ts'
import { SHOWN_STATES, VERIFIED } from '../../../shared/catalogue/replica-states.ts'
import type { Copy, CopyState, Evidence, ReplicaKind } from '../../../shared/database/replica-schema.ts'
import { CLOUD_WORDS, TAPE_WORDS } from '../../../shared/database/storage-summary.ts'
import { isVerifiedNow, NOT_VERIFIED, runVerified } from '../../../shared/queries/verified-now.ts'

const NOW = new Date('2026-01-15T12:00:00Z')
const PERIOD = { scrubDays: 90, now: NOW }
const ago = (days: number) => new Date(NOW.getTime() - days * 86_400_000)
const SECOND = 1 / 86_400

interface Case {
  readonly kind?: ReplicaKind
  readonly state?: CopyState
  readonly days?: number | null
  readonly by?: Evidence | null
  readonly doubt?: Evidence | null
}
const copy = ({
  kind = 'tape',
  state = 'on-media',
  days = 1,
  by = 'read',
  doubt = null,
}: Case = {}): Copy => ({
  ...({} as Copy),
  kind,
  state,
  verifiedAt: days === null ? null : ago(days),
  verifiedEvidence: by,
  doubtedEvidence: doubt,
  attempts: 0,
  lastError: null,
})

describe('a copy is shown in green', () => {
  test.each<[string, Case, boolean]>([
    ['all its bytes were read yesterday', {}, true],
    ['its stored checksum was compared yesterday', { by: 'stored-checksum' }, true],
    ['it is in the store and was read', { kind: 'cloud', state: 'present' }, true],
    ['it was verified on the last day of the period', { days: 90 }, true],
    ['it was verified a second before the period', { days: 90 + SECOND }, false],
    ['it was verified two years ago', { days: 730 }, false],
    ['it was never verified', { days: null, by: null }, false],
    ['the kind of its evidence is not known', { by: null }, false],
    ['a service states it', { by: 'statement' }, false],
    ['it was only seen', { by: 'existence' }, false],
    ['it was concluded', { by: 'inference' }, false],
    ['a HEAD contradicts what was read', { doubt: 'existence' }, false],
    ['a read contradicts it', { doubt: 'read' }, false],
    ['the verification is dated to tomorrow', { days: -1 }, false],
    ['the clock of the database is a second ahead', { days: -SECOND }, true],
  ])('%s: %j %s', (_, changes, expected) => {
    expect(isVerifiedNow(copy(changes), PERIOD)).toBe(expected)
    expect(copyTone(copy(changes), PERIOD)).toBe(expected ? 'good' : 'old')
  })

  test('in no state in which no copy counts, whatever was compared', () => {
    for (const state of SHOWN_STATES.filter((each) => !VERIFIED.includes(each)))
      expect([state, copyTone(copy({ state }), PERIOD)]).not.toContain('good')
  })

  test('no longer when the configured time is shorter than its age', () => {
    expect(isVerifiedNow(copy({ days: 8 }), { scrubDays: 7, now: NOW })).toBe(false)
  })
})

const cloud = (changes: Case = {}) => copy({ kind: 'cloud', state: 'present', ...changes })

describe('a run', () => {
  test('is verified since the oldest verification of its files, by the newest copy of each', () => {
    expect(
      runVerified([
        [cloud({ days: 3 }), copy({ days: 5 })],
        [cloud({ days: 9 }), copy({ days: 1 })],
      ]),
    ).toEqual({
      cloud: ago(9),
      tape: ago(5),
      anywhere: ago(3),
    })
  })

  test('is not verified where one of its files is not', () => {
    const stated = copy({ by: 'statement' })
    expect(
      runVerified([
        [cloud(), copy()],
        [cloud(), stated],
      ]),
    ).toEqual({
      cloud: ago(1),
      tape: null,
      anywhere: ago(1),
    })
    expect(runVerified([[cloud()], []])).toEqual(NOT_VERIFIED)
    expect(runVerified([])).toEqual(NOT_VERIFIED)
  })
})

describe('in lists', () => {
  const run = { problems: '', firstFileAt: ago(700), isHistory: false }
  const fresh = { cloud: ago(1), tape: ago(1), anywhere: ago(1) }
  const old = { cloud: ago(120), tape: ago(700), anywhere: ago(120) }
  const text = (mark: unknown) => String(mark).replaceAll(/<[^>]*>/g, '')

  test('present, on tape and complete are green only while they are verified now', () => {
    for (const shown of [
      cloudMark('present', fresh, PERIOD),
      tapeMark('on-media', fresh, PERIOD),
      runMark(run, fresh, PERIOD),
    ])
      expect(String(shown)).toContain('mark good')
    for (const unverified of [old, NOT_VERIFIED]) {
      expect(String(runMark(run, unverified, PERIOD))).toContain('mark old')
      for (const shown of [
        ...CLOUD_WORDS.map((word) => cloudMark(word, unverified, PERIOD)),
        ...TAPE_WORDS.map((word) => tapeMark(word, unverified, PERIOD)),
      ])
        expect(String(shown)).not.toContain('good')
    }
  })

  test('what is not verified now has the age of its verification', () => {
    expect(text(cloudMark('present', old, PERIOD))).toBe('◌present verified 120 d ago')
    expect(text(tapeMark('on-media', old, PERIOD))).toBe('◌on tape verified 700 d ago')
    expect(text(tapeMark('on-media', NOT_VERIFIED, PERIOD))).toBe('◌on tape not verified')
  })

  test('what is wrong is red, however lately it was verified', () => {
    expect(String(runMark({ ...run, problems: 'disputed' }, fresh, PERIOD))).toContain('mark bad')
    expect(String(cloudMark('suspicious', fresh, PERIOD))).toContain('mark bad')
    expect(String(tapeMark('failed', fresh, PERIOD))).toContain('mark bad')
  })
})
