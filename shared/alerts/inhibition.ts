/** Inhibition as Alertmanager has it: an alert is not sent while another one fires that explains it. Pure. */
import type { Matcher } from '../database/alert-schema.ts'
import type { Labels } from '../messages/alert-labels.ts'
import { matchesAll } from './matchers.ts'

export interface InhibitionRule {
  /** Of the alert that explains. */
  readonly source: readonly Matcher[]
  /** Of the alert that is not sent meanwhile. */
  readonly target: readonly Matcher[]
  /** Names of labels that both have with the same value; one that both lack counts as the same. */
  readonly equal: readonly string[]
}

/** The first of the firing alerts that inhibits one with these labels; null: none does. */
export function inhibitedBy<Firing extends { readonly labels: Labels }>(
  labels: Labels,
  firing: readonly Firing[],
  rules: readonly InhibitionRule[],
): Firing | null {
  for (const { source, target, equal } of rules) {
    if (!matchesAll(target, labels)) continue
    const isSource = matchesAll(source, labels)
    const found = firing.find(
      (other) =>
        matchesAll(source, other.labels) &&
        equal.every((name) => (other.labels[name] ?? '') === (labels[name] ?? '')) &&
        !(isSource && matchesAll(target, other.labels)),
    )
    if (found !== undefined) return found
  }
  return null
}
