/** Which alerts explain which others. A page is never kept from being sent: it says that data is in danger. */
import type { AlertRule } from '../messages/alert-rules.ts'
import type { InhibitionRule } from './inhibition.ts'

/** Alerts of other systems have this label (alertmanager.ts): they neither explain ours nor are explained. */
const ours = { name: 'source', value: '', isRegex: false, isEqual: true }

const explains = (
  source: AlertRule,
  targets: readonly AlertRule[],
  equal: readonly string[],
): InhibitionRule => ({
  source: [{ name: 'alertname', value: source, isRegex: false, isEqual: true }, ours],
  target: [{ name: 'alertname', value: targets.join('|'), isRegex: true, isEqual: true }, ours],
  equal,
})

export const INHIBITIONS: readonly InhibitionRule[] = [
  explains(
    'store-fails',
    ['listing-fails', 'arrival-failed', 'recall-failed', 'tape-copy-fails', 'not-on-tape'],
    ['bucket'],
  ),
  // The endpoint. What fails is either all of it or reading from it, and these need to write.
  explains('tape-endpoint-fails', ['tape-copy-fails', 'not-on-tape', 'backlog-not-on-tape'], ['subject']),
  explains('last-copy-in-danger', ['copy-missing', 'copy-suspicious'], ['tag', 'run', 'bucket', 'key']),
]
