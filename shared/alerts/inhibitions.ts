/** Which alerts explain which others. A page is never kept from being sent: it says that data is in danger. */
import type { AlertRule } from '../messages/alert-rules.ts'
import type { InhibitionRule } from './inhibition.ts'

/** Alerts of other systems have this label (alertmanager.ts): they neither explain ours nor are explained. */
const ours = { name: 'source', value: '', isRegex: false, isEqual: true }

/** @param equal labels that both have, with the same value. */
const explains = (
  source: AlertRule,
  targets: readonly AlertRule[],
  equal: readonly string[],
): InhibitionRule => ({
  source: [
    { name: 'alertname', value: source, isRegex: false, isEqual: true },
    ours,
    // Two labels that are missing would be equal.
    ...equal.map((name) => ({ name, value: '', isRegex: false, isEqual: false })),
  ],
  target: [{ name: 'alertname', value: targets.join('|'), isRegex: true, isEqual: true }, ours],
  equal,
})

export const INHIBITIONS: readonly InhibitionRule[] = [
  // The subject is the bucket.
  explains('store-fails', ['listing-fails'], ['subject']),
  explains('store-fails', ['arrival-failed', 'recall-failed', 'tape-copy-fails', 'not-on-tape'], ['bucket']),
  // The subject is the endpoint. What fails is either all of it or reading from it, and these need to write.
  explains('tape-endpoint-fails', ['tape-copy-fails', 'not-on-tape', 'backlog-not-on-tape'], ['subject']),
  explains('last-copy-in-danger', ['copy-missing', 'copy-suspicious'], ['tag', 'run', 'bucket', 'key']),
]
