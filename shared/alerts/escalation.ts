/** Pages that nobody acknowledges: which steps are due, and whom each mentions. Pure. */
import type { Alerting } from '../config/alerts.ts'
import type { AlertEpisode, Mention } from '../database/alert-schema.ts'
import type { OnShift } from './rota.ts'

export interface EscalationStep {
  /** From 1. */
  readonly step: number
  /** As the rota names them; null for the role. */
  readonly person: string | null
  readonly mentions: readonly Mention[]
}

/**
 * The steps that are due by now: the first person on shift, then the second, then the role, each `minutes` after the
 * one before. Nobody stands for a person that the rota does not name: the next step comes earlier. For a person without
 * an id the role is mentioned. A page that was acknowledged, resolved, silenced or inhibited escalates no further.
 * @param page `since`: when it could first be seen.
 */
export function dueSteps(
  page: Pick<AlertEpisode, 'severity' | 'since' | 'acknowledgedAt' | 'resolvedAt' | 'held'>,
  { first, second }: OnShift,
  { minutes, people, roleId }: NonNullable<Alerting['escalation']>,
  at: Date,
): readonly EscalationStep[] {
  const { severity, since, acknowledgedAt, resolvedAt, held } = page
  if (severity !== 'page' || acknowledgedAt !== null || resolvedAt !== null || held !== null) return []
  const ids = new Map(Object.entries(people).map(([name, id]) => [keyOf(name), id]))
  const role: readonly Mention[] = roleId === undefined ? [] : [{ kind: 'role', id: roleId }]
  const persons = [first, second].flatMap((person) => {
    if (person === null) return []
    const id = ids.get(keyOf(person))
    const mentions: readonly Mention[] = id === undefined ? role : [{ kind: 'user', id }]
    return [{ person, mentions }]
  })
  const passed = Math.floor((at.getTime() - since.getTime()) / (minutes * 60_000))
  return [...persons, { person: null, mentions: role }]
    .filter(({ mentions }) => mentions.length > 0)
    .map((step, index) => ({ ...step, step: index + 1 }))
    .filter(({ step }) => step <= passed)
}

/** Names are written by people in two places. */
const keyOf = (name: string): string => name.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
