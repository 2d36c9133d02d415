/**
 * S3 event names, and which of them say that content arrived.
 *
 * Names: AWS "Supported event types for SQS, SNS and Lambda"; Ceph's "S3 bucket notifications compatibility"
 * (which adds ObjectSynced and writes lifecycle events its own way); MinIO's list of supported events (which
 * adds tagging and retention below ObjectCreated).
 */

/**
 * Below ObjectCreated, but only metadata of an object that was there already: MinIO's PutTagging,
 * PutRetention and the like.
 */
const METADATA_ONLY = /^ObjectCreated:(?:Put|Delete)(?:Tagging|Retention|LegalHold|Acl)$/i

/**
 * `s3:ObjectCreated:Put` → `ObjectCreated:Put`. AWS and newer Ceph leave the prefix out, MinIO and older Ceph
 * write it.
 */
export function withoutPrefix(eventName: string): string {
  return eventName.startsWith('s3:') ? eventName.slice('s3:'.length) : eventName
}

/**
 * True when the event (name without prefix) says that the content of an object is new in this store. A
 * creation of a kind not known counts: a superfluous hint costs one look, a missed one costs the wait for the
 * next reconciliation.
 */
export function isArrival(eventName: string): boolean {
  if (eventName.startsWith('ObjectCreated:')) return !METADATA_ONLY.test(eventName)
  return eventName === 'ObjectSynced:Create'
}
