/** Whether an object version is to be read again, by what the ledger and the catalogue have of it. */
import { describe, expect, it } from 'vitest'
import type { LiveVersion } from '../../../shared/catalogue/arrivals.ts'
import { isCurrent } from '../../../shared/ingest/is-current.ts'

const stored = new Date('2026-03-01T12:00:00Z')
const later = (ms: number) => new Date(stored.getTime() + ms)
const object = (lastModified = stored) => ({ etag: 'new', lastModified })
const arrival = (
  state: 'received' | 'processing' | 'done' | 'invalid' | 'failed',
  lastModified = stored,
) => ({
  state,
  lastModified,
})
const live = (changes: Partial<LiveVersion> = {}): LiveVersion => ({
  etag: 'new',
  runId: 1,
  integrity: 'verified',
  storedAt: stored,
  inStore: true,
  isDoubted: false,
  ...changes,
})

describe('a version that was catalogued', () => {
  it('is current while the catalogue shows it', () => {
    expect(isCurrent(arrival('done'), live(), object())).toBe(true)
    expect(isCurrent(arrival('done'), live(), object(later(5000)))).toBe(true)
  })

  it.each([
    ['nothing is shown in its place', null],
    ['another version is shown', live({ etag: 'old' })],
    ['its copy in the store was deleted or missing', live({ inStore: false })],
  ])('is read again when %s', (_, shown) => {
    expect(isCurrent(arrival('done'), shown, object())).toBe(false)
  })

  it('is read again after a digest disagreed only when it was sent again', () => {
    const shown = live({ integrity: 'mismatch' })
    expect(isCurrent(arrival('done'), shown, object())).toBe(true)
    expect(isCurrent(arrival('done'), shown, object(later(1000)))).toBe(false)
  })
})

it('a version whose copy a check contradicted is read again each time that it was sent again', () => {
  const shown = live({ isDoubted: true })
  expect(isCurrent(arrival('done'), shown, object())).toBe(true)
  expect(isCurrent(arrival('done'), shown, object(later(5000)))).toBe(false)
  expect(isCurrent(arrival('done', later(5000)), shown, object(later(5000)))).toBe(true)
})

it('a version is sent again also when the clock of the store was set back since', () => {
  const earlier = object(later(-7200_000))
  expect(isCurrent(arrival('done'), live({ isDoubted: true }), earlier)).toBe(false)
  expect(isCurrent(arrival('done'), live({ integrity: 'mismatch' }), earlier)).toBe(false)
  expect(isCurrent(arrival('invalid'), null, earlier)).toBe(false)
  expect(isCurrent(arrival('invalid'), null, object(later(-1000)))).toBe(true)
})

describe('a version that could not be read', () => {
  it.each([null, live()])('is current while it was not sent again', (shown) => {
    expect(isCurrent(arrival('invalid'), shown, object())).toBe(true)
    expect(isCurrent({ state: 'invalid', lastModified: null }, shown, object())).toBe(true)
  })

  it('is read again when it was sent again, or another version is shown', () => {
    expect(isCurrent(arrival('invalid'), null, object(later(1000)))).toBe(false)
    expect(isCurrent(arrival('invalid'), live({ etag: 'old' }), object())).toBe(false)
  })
})

it('milliseconds that only a listing states do not make a version sent again', () => {
  expect(isCurrent(arrival('invalid'), null, object(later(999)))).toBe(true)
  expect(isCurrent(arrival('done'), live({ integrity: 'mismatch' }), object(later(999)))).toBe(true)
})

it.each(['received', 'processing', 'failed'] as const)('an arrival that is %s is not current', (state) => {
  expect(isCurrent(arrival(state), live(), object())).toBe(false)
})
