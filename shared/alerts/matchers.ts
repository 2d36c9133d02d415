/** Matchers of labels as Alertmanager has them. Pure. */
import type { Matcher } from '../database/alert-schema.ts'
import type { Labels } from '../messages/alert-labels.ts'

/** Whether the labels match every one. A label that is missing is the same as an empty one. */
export const matchesAll = (matchers: readonly Matcher[], labels: Labels): boolean =>
  matchers.every(({ name, value, isRegex, isEqual }) => {
    const label = labels[name] ?? ''
    return (isRegex ? new RegExp(`^(?:${value})$`).test(label) : label === value) === isEqual
  })
