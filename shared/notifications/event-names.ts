/**
 * S3 event names, and which of them report new content.
 *
 * Names: AWS "Supported event types for SQS, SNS and Lambda"; Ceph's "S3 bucket notifications compatibility"
 * (which adds ObjectSynced and has its own lifecycle events); MinIO's list of supported events (which adds
 * tagging and retention below ObjectCreated).
 */

/**
 * Events below ObjectCreated that concern only the metadata of an existing object: MinIO's PutTagging,
 * PutRetention and similar.
 */
const METADATA_ONLY = /^ObjectCreated:(?:Put|Delete)(?:Tagging|Retention|LegalHold|Acl)$/i

/**
 * `s3:ObjectCreated:Put` → `ObjectCreated:Put`. AWS and newer Ceph omit the prefix, MinIO and older Ceph
 * write it.
 */
export function withoutPrefix(eventName: string): string {
  return eventName.startsWith('s3:') ? eventName.slice('s3:'.length) : eventName
}

/**
 * Whether the event (name without prefix) reports new content of an object. Unknown kinds of creation count:
 * a superfluous hint costs one check, a missed one delays the run until the next reconciliation.
 */
export function isArrival(eventName: string): boolean {
  if (eventName.startsWith('ObjectCreated:')) return !METADATA_ONLY.test(eventName)
  return eventName === 'ObjectSynced:Create'
}
