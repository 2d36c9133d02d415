/** Which alerts explain which others. */
import type { InhibitionRule } from './inhibition.ts'

const is = (name: string, value: string) => ({ name, value, isRegex: false, isEqual: true })

export const INHIBITIONS: readonly InhibitionRule[] = [
  {
    source: [is('alertname', 'last-copy-in-danger')],
    target: [is('alertname', 'copy-missing')],
    equal: ['tag', 'run', 'bucket', 'key'],
  },
]
