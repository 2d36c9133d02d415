/** Alerts about one copy. Pure. */
import type { Replica } from '../database/replica-schema.ts'
import type { AlertRule } from '../messages/alert-rules.ts'
import type { Request } from '../work/outbox.ts'
import { alert, type Ended } from '../work/raise-alert.ts'
import { type OtherCopies, searchAdvice } from './other-copies.ts'
import { replicaIdentity } from './replicas.ts'

export const nameOf = (replica: Pick<Replica, 'runNumber' | 'tag' | 'objectKey'>) =>
  `${replica.objectKey} (run ${replica.runNumber} of ${replica.tag})`

/** Distinguishes a request for a copy from a later one, after the copy was lost: Unix seconds. */
export const requestOf = ({ requestedAt }: { readonly requestedAt: Date }): string =>
  String(Math.floor(requestedAt.getTime() / 1000))

/** What an alert about a copy or a recall is about. */
type Subject = Pick<Replica, 'identity' | 'tag' | 'runNumber' | 'runId' | 'bucket' | 'objectKey' | 'sha256'>

export const fileOf = ({ tag, runNumber, runId, bucket, objectKey, sha256 }: Subject) => ({
  run: { id: runId, tag, runNumber },
  object: { bucket, key: objectKey },
  contents: sha256,
})

/** Of the same copy; `again` distinguishes a later occurrence. */
export const causeOf = ({ identity }: Pick<Subject, 'identity'>, again = ''): string =>
  `${identity.toString('hex').slice(0, 32)}${again === '' ? '' : `:${again}`}`

/** Which copy of the file it is. At an endpoint there may be a second one, under an alternate name. */
function placeOf(replica: Replica): string {
  const { kind, endpoint, bucket, objectKey: key, sha256, identity } = replica
  if (kind === 'cloud') return 'the store'
  return identity.equals(replicaIdentity(kind, endpoint, { bucket, key, sha256 }))
    ? endpoint
    : `${endpoint}, alternate name`
}

const badCopy = <Rule extends AlertRule>(rule: Rule, replica: Replica) => ({
  rule,
  subject: placeOf(replica),
  ...fileOf(replica),
})

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
  const common = {
    facts: { sizeBytes: replica.sizeBytes, md5: replica.md5 },
    cause: causeOf(replica, replica.verifiedAt?.toISOString() ?? 'never'),
  }
  if (others.verified.length === 0) {
    const verify = `cygnet verify --run ${replica.runNumber} --tag ${replica.tag}`
    const summary = `${about}, and no other verified copy is known. Delete nothing of this run anywhere: ${searchAdvice(others)} and push it again${replica.kind === 'cloud' ? ' with --overwrite' : ''}, have the place inspected, then run \`${verify}\``
    return alert({ ...badCopy('last-copy-in-danger', replica), severity: 'page', summary, ...common })
  }
  const summary = `${about}; ${remedy(replica, finding.kind, others.verified)}`
  return alert({ ...badCopy(`copy-${finding.kind}`, replica), severity: 'error', summary, ...common })
}

/** The alerts about a bad copy that end when another copy is verified. */
export const savedCopy = (replica: Replica): Ended => ({
  ...badCopy('last-copy-in-danger', replica),
  summary: `another copy of ${nameOf(replica)} is verified`,
})

/** The alerts about a bad copy that end when it is good again, or none is expected any more. */
export const mendedCopy = (replica: Replica): readonly Ended[] =>
  (['copy-missing', 'copy-suspicious', 'last-copy-in-danger'] as const).map((rule) => ({
    ...badCopy(rule, replica),
    summary: `${replica.url} is ${replica.state}${replica.verifiedBy === null ? '' : `, verified: ${replica.verifiedBy}`}`,
  }))

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
