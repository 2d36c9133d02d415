/** Groups of alerts as Alertmanager has them. Pure. */
import type { Labels } from '../messages/alert-labels.ts'
import { labelOf } from './matchers.ts'

/**
 * Names the group by the given labels, in any order: `{alertname="not-on-tape", tag="LNGS"}`. A label that is missing
 * is left out, so that it is the same as an empty one.
 */
export function groupKey(labels: Labels, by: readonly string[]): string {
  const named = [...new Set(by)]
    .toSorted()
    .filter((name) => labelOf(labels, name) !== '')
    .map((name) => `${name}=${JSON.stringify(labelOf(labels, name))}`)
  return `{${named.join(', ')}}`
}
