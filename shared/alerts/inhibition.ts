/** Inhibition as Alertmanager has it: an alert is not sent while another one fires that explains it. Pure. */
import type { Matcher } from '../database/alert-schema.ts'
import type { Labels } from '../messages/alert-labels.ts'
import { labelOf, matchesAll } from './matchers.ts'

export interface InhibitionRule {
  /** Of the alert that explains. */
  readonly source: readonly Matcher[]
  /** Of the alert that is not sent meanwhile. */
  readonly target: readonly Matcher[]
  /** Names of labels that both have with the same value; one that both lack counts as the same. */
  readonly equal: readonly string[]
}

/**
 * The first of the firing alerts that inhibits one with these labels; null: none does. What fires inhibits also while
 * it is silenced or inhibited itself. An alert that matches both sides of a rule is not inhibited by another such one,
 * so it never inhibits itself.
 */
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
        equal.every((name) => labelOf(other.labels, name) === labelOf(labels, name)) &&
        !(isSource && matchesAll(target, other.labels)),
    )
    if (found !== undefined) return found
  }
  return null
}
