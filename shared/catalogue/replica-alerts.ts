/** Alerts about one copy. Pure. */
import type { Replica } from '../database/replica-schema.ts'
import type { AlertRule, SeverityOf } from '../messages/alert-rules.ts'
import type { Request } from '../work/outbox.ts'
import { alertRequest } from './next-steps.ts'
import { type OtherCopies, searchAdvice } from './other-copies.ts'

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

/**
 * The alert for a copy that is missing or suspicious, once for each time that it was verified before.
 * @param others the other copies of the same contents.
 */
export function badCopyAlert(
  replica: Replica,
  finding: { readonly kind: 'missing' } | { readonly kind: 'suspicious'; readonly reason: string },
  others: OtherCopies,
): Request {
  const what = finding.kind === 'missing' ? 'is missing' : `is suspicious (${finding.reason})`
  const about = `${nameOf(replica)}: ${replica.url} ${what}`
  const episode = replica.verifiedAt?.toISOString() ?? 'never'
  if (others.verified.length === 0) {
    const verify = `cygnet verify --run ${replica.runNumber} --tag ${replica.tag}`
    const summary = `${about}, and no other verified copy is known. Delete nothing of this run anywhere: ${searchAdvice(others)} and push it again${replica.kind === 'cloud' ? ' with --overwrite' : ''}, have the place inspected, then run \`${verify}\``
    return replicaAlert(replica, 'last-copy-in-danger', 'page', summary, episode)
  }
  return replicaAlert(
    replica,
    `copy-${finding.kind}`,
    'error',
    `${about}; ${remedy(replica, finding.kind, others.verified)}`,
    episode,
  )
}

function remedy(replica: Replica, found: 'missing' | 'suspicious', others: readonly Replica[]): string {
  const other = others.find(({ kind }) => kind === (replica.kind === 'tape' ? 'cloud' : 'tape')) ?? others[0]
  const there = `${other?.url} was verified ${other?.verifiedAt?.toISOString() ?? ''}`
  if (other?.kind === 'tape' && replica.kind === 'cloud' && found === 'suspicious')
    return `${there}: keep that copy, and ${replaceRotten(replica)}`
  if (other?.kind === 'tape')
    return `${there}: \`cygnet recall ${replica.runNumber} --tag ${replica.tag}\` brings the run back from tape; keep that copy`
  return replica.kind === 'tape'
    ? `${there}: keep it until a new copy on tape is verified`
    : `${there}: keep it`
}

/** How to replace a suspicious object whose run is on tape: a recall writes only where there is no object. */
export const replaceRotten = ({
  bucket,
  objectKey: key,
  runNumber,
  tag,
}: Pick<Replica, 'bucket' | 'objectKey' | 'runNumber' | 'tag'>): string =>
  `push the DAQ's file with \`cygnet push --overwrite --bucket ${bucket} --key ${key} FILE\`, or move the object away (\`aws s3 mv s3://${bucket}/${key} s3://${bucket}/TMP/${key}\`), then \`cygnet verify --run ${runNumber} --tag ${tag}\` and \`cygnet recall ${runNumber} --tag ${tag}\``
