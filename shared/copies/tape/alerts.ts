/** Alerts about one copy: pure. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { AlertRule, SeverityOf } from '../../messages/alert-rules.ts'
import type { Request } from '../../work/outbox.ts'

export const nameOf = (replica: Pick<Replica, 'runNumber' | 'tag' | 'objectKey'>) =>
  `run ${replica.runNumber} of ${replica.tag} (${replica.objectKey})`

/** Tells the request for a copy from one that was made again after the copy was lost: Unix seconds. */
export const requestOf = ({ requestedAt }: { readonly requestedAt: Date }): string =>
  String(Math.floor(requestedAt.getTime() / 1000))

/** What an alert is about: a copy, or a recall. */
type Subject = Pick<Replica, 'identity' | 'tag' | 'runNumber' | 'runId' | 'bucket' | 'objectKey'>

/** One alert a rule and copy; `again` tells a later occurrence from the first. */
export function replicaAlert<Rule extends AlertRule>(
  replica: Subject,
  rule: Rule,
  severity: SeverityOf<Rule>,
  summary: string,
  again = '',
): Request {
  return alertRequest({
    rule,
    severity,
    summary,
    tag: replica.tag,
    runNumber: replica.runNumber,
    runId: replica.runId,
    object: { bucket: replica.bucket, key: replica.objectKey },
    occurrence: `${replica.identity.toString('hex').slice(0, 32)}${again === '' ? '' : `:${again}`}`,
  })
}
