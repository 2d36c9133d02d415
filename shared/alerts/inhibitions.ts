/** Which alerts explain which others. */
import type { InhibitionRule } from './inhibition.ts'

const is = (name: string, value: string) => ({ name, value, isRegex: false, isEqual: true })

export const INHIBITIONS: readonly InhibitionRule[] = [
  {
    source: [is('alertname', 'store-fails')],
    target: [is('alertname', 'listing-fails')],
    equal: ['subject'],
  },
]
