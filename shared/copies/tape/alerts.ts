/** Alerts about one copy. Pure. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { AlertRule, SeverityOf } from '../../messages/alert-rules.ts'
import type { Request } from '../../work/outbox.ts'

export const nameOf = (replica: Pick<Replica, 'runNumber' | 'tag' | 'objectKey'>) =>
  `${replica.objectKey} (run ${replica.runNumber} of ${replica.tag})`

/** Distinguishes a request for a copy from a later one, after the copy was lost: Unix seconds. */
export const requestOf = ({ requestedAt }: { readonly requestedAt: Date }): string =>
  String(Math.floor(requestedAt.getTime() / 1000))

/** The subject of an alert: a copy, or a recall. */
type Subject = Pick<Replica, 'identity' | 'tag' | 'runNumber' | 'runId' | 'bucket' | 'objectKey'>

/** One alert for each rule and copy; `episode` distinguishes a later occurrence. */
export function replicaAlert<Rule extends AlertRule>(
  replica: Subject,
  rule: Rule,
  severity: SeverityOf<Rule>,
  summary: string,
  episode = '',
): Request {
  return alertRequest({
    rule,
    severity,
    summary,
    tag: replica.tag,
    runNumber: replica.runNumber,
    runId: replica.runId,
    object: { bucket: replica.bucket, key: replica.objectKey },
    occurrence: `${replica.identity.toString('hex').slice(0, 32)}${episode === '' ? '' : `:${episode}`}`,
  })
}
