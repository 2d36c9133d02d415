/** Whom a page that nobody acknowledges calls, and when. */
import { describe, expect, it } from 'vitest'
import { dueSteps } from '../../../shared/alerts/escalation.ts'
import { NOBODY, type OnShift } from '../../../shared/alerts/rota.ts'

const since = new Date('2026-12-01T02:00:00Z')
const minutes = (count: number) => new Date(since.getTime() + count * 60_000)
const PAGE = { severity: 'page', since, acknowledgedAt: null, resolvedAt: null, held: null } as const
const BOTH: OnShift = { first: 'Anna Rossi', second: 'Bob Smith' }
const settings = {
  ...{ channel: 'shift', minutes: 10, roleId: '300000000000000000' },
  people: { 'anna  rossi': '100000000000000000', 'Bob Smith': '200000000000000000' },
}
const ANNA = { kind: 'user', id: '100000000000000000' }
const BOB = { kind: 'user', id: '200000000000000000' }
const ROLE = { kind: 'role', id: '300000000000000000' }
const called = (
  after: number,
  onShift = BOTH,
  page: Parameters<typeof dueSteps>[0] = PAGE,
  given = settings,
) => dueSteps(page, onShift, given, minutes(after)).map(({ mentions }) => mentions)

describe('a page that nobody acknowledges', () => {
  it.each([
    [0, []],
    [9.99, []],
    [10, [[ANNA]]],
    [19, [[ANNA]]],
    [20, [[ANNA], [BOB]]],
    [30, [[ANNA], [BOB], [ROLE]]],
    [10_000, [[ANNA], [BOB], [ROLE]]],
  ])('has called after %d minutes: the first, the second, the role', (after, expected) => {
    expect(called(after)).toEqual(expected)
  })

  it('names the steps and the persons, so that each is posted once', () => {
    expect(dueSteps(PAGE, BOTH, settings, minutes(30))).toEqual([
      { step: 1, person: 'Anna Rossi', mentions: [ANNA] },
      { step: 2, person: 'Bob Smith', mentions: [BOB] },
      { step: 3, person: null, mentions: [ROLE] },
    ])
  })

  it('calls the role for whom the rota does not name, so that somebody is called each time', () => {
    expect(called(60, NOBODY)).toEqual([[ROLE], [ROLE], [ROLE]])
    expect(called(60, { first: 'Anna Rossi', second: null })).toEqual([[ANNA], [ROLE], [ROLE]])
    expect(called(60, { first: null, second: 'Bob Smith' })).toEqual([[ROLE], [BOB], [ROLE]])
  })

  it('calls the role for a person without an id, and nobody where there is no role', () => {
    expect(called(20, { first: 'Carla Verdi', second: 'Bob Smith' })).toEqual([[ROLE], [BOB]])
    const { roleId: _, ...withoutRole } = settings
    const steps = dueSteps(PAGE, { first: 'Carla Verdi', second: 'Bob Smith' }, withoutRole, minutes(60))
    expect(steps).toEqual([{ step: 2, person: 'Bob Smith', mentions: [BOB] }])
  })

  it.each([
    ['is no page', { ...PAGE, severity: 'error' as const }],
    ['was acknowledged', { ...PAGE, acknowledgedAt: since }],
    ['was resolved', { ...PAGE, resolvedAt: since }],
    ['is silenced', { ...PAGE, held: 'silenced' as const }],
    ['is inhibited', { ...PAGE, held: 'inhibited' as const }],
  ])('calls nobody once it %s', (_, page) => {
    expect(called(60, BOTH, page)).toEqual([])
  })
})
