/** Pages that nobody acknowledges: which steps are due, and whom each mentions. Pure. */
import type { Alerting } from '../config/alerts.ts'
import type { Mention } from '../database/alert-schema.ts'
import type { Episode } from './fold.ts'
import type { OnShift } from './rota.ts'

export interface EscalationStep {
  readonly step: number
  readonly mentions: readonly Mention[]
}

/** The first person on shift, then the second, then the role, each `minutes` after the one before. */
export function dueSteps(
  { severity, since, acknowledgedAt, resolvedAt, held }: Episode,
  { first, second }: OnShift,
  { minutes, people, roleId }: NonNullable<Alerting['escalation']>,
  at: Date,
): readonly EscalationStep[] {
  if (severity !== 'page' || acknowledgedAt !== null || resolvedAt !== null || held !== null) return []
  const role: readonly Mention[] = roleId === undefined ? [] : [{ kind: 'role', id: roleId }]
  const person = (name: string | null): readonly Mention[] => {
    const id = name === null ? undefined : people[name]
    return id === undefined ? role : [{ kind: 'user', id }]
  }
  const passed = Math.floor((at.getTime() - since.getTime()) / (minutes * 60_000))
  return [person(first), person(second), role]
    .map((mentions, index) => ({ step: index + 1, mentions }))
    .filter(({ step }) => step <= passed)
}
