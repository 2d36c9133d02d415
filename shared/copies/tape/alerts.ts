/** Alerts about one copy. Pure. */
import { alertRequest } from '../../catalogue/next-steps.ts'
import type { Replica } from '../../database/replica-schema.ts'
import type { AlertRule, SeverityOf } from '../../messages/alert-rules.ts'
import type { Request } from '../../work/outbox.ts'

export const nameOf = (replica: Pick<Replica, 'runNumber' | 'tag' | 'objectKey'>) =>
  `run ${replica.runNumber} of ${replica.tag} (${replica.objectKey})`

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

/** The alert when a tape endpoint or a store fails for every file, once for each outage. */
export function dependencyAlert(dependency: string, since: Date, reason: string): Request {
  const isTape = dependency.startsWith('tape:')
  const what = isTape ? `the tape endpoint ${dependency.slice('tape:'.length)}` : dependency
  return alertRequest({
    rule: isTape ? 'tape-endpoint-fails' : 'store-fails',
    severity: 'error',
    summary: `${what} fails since ${since.toISOString()}: ${reason}; copies wait until it answers`,
    tag: null,
    runNumber: null,
    runId: null,
    object: null,
    occurrence: `${dependency.slice(0, 200)}:${since.toISOString()}`,
  })
}
