/** Pages that nobody acknowledges: which steps are due, and whom each mentions. Pure. */
import type { Alerting } from '../config/alerts.ts'
import type { AlertEpisode, Mention } from '../database/alert-schema.ts'
import type { OnShift } from './rota.ts'

export interface EscalationStep {
  /** 1: the first person, 2: the second, 3: the role. */
  readonly step: number
  /** As the rota names them; null where it names nobody, and for the role. */
  readonly person: string | null
  readonly mentions: readonly Mention[]
}

/**
 * The steps that are due by now: the first person on shift, then the second, then the role, each `minutes` after the
 * one before. The role stands for a person whom the rota does not name, or who has no id. A page that was acknowledged,
 * resolved, silenced or inhibited escalates no further.
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
  const stepOf = (person: string | null, index: number): EscalationStep => {
    const id = person === null ? undefined : ids.get(keyOf(person))
    return { step: index + 1, person, mentions: id === undefined ? role : [{ kind: 'user', id }] }
  }
  const passed = Math.floor((at.getTime() - since.getTime()) / (minutes * 60_000))
  return [first, second, null]
    .map(stepOf)
    .filter(({ step, mentions }) => step <= passed && mentions.length > 0)
}

/** Names are written by people in two places. */
const keyOf = (name: string): string => name.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
