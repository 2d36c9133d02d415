/** The common form of all notifications: one version of one object that arrived in a bucket. */

/**
 * Who reported the object. `reconcile` and `replay` are Cygnet itself, through the same queue as a live
 * event.
 */
export const ARRIVAL_SOURCES = [
  'aws',
  'minio',
  'ceph',
  'embedded',
  'cloudevent',
  'reconcile',
  'replay',
] as const
export type ArrivalSource = (typeof ARRIVAL_SOURCES)[number]

/**
 * One object version that arrived. Only a hint: the store's answer when the object is read is authoritative.
 */
export interface ObjectArrival {
  readonly bucket: string
  /** The object's key as in S3 clients: decoded, never empty, at most 1024 bytes of UTF-8. */
  readonly key: string
  readonly sizeBytes: number | null
  /**
   * Without quotes; an MD5 (with or without its multipart suffix) in lower case, any other ETag unchanged.
   */
  readonly etag: string | null
  /** null if the bucket is not versioned (stores write `null`, an empty text or nothing). */
  readonly versionId: string | null
  /** Orders the events of one key: comparable as text within one store only. */
  readonly sequencer: string | null
  /** Without the `s3:` prefix: `ObjectCreated:Put`. */
  readonly eventName: string
  readonly eventTime: Date | null
  readonly source: ArrivalSource
}

/**
 * The arrivals without duplicates, in the given order; stores repeat events even within one payload.
 * Sequencer and time are compared as well: content that was put, replaced and put again makes three arrivals,
 * of which the last is the newest.
 */
export function distinctArrivals(arrivals: readonly ObjectArrival[]): readonly ObjectArrival[] {
  const distinct = new Map<string, ObjectArrival>()
  for (const arrival of arrivals) {
    const { bucket, key, versionId, etag, sequencer, eventTime } = arrival
    const identity = JSON.stringify([bucket, key, versionId, etag, sequencer, eventTime])
    if (!distinct.has(identity)) distinct.set(identity, arrival)
  }
  return [...distinct.values()]
}
