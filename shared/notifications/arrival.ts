/** What every store's notification is turned into: one version of one object that arrived in a bucket. */

/**
 * Who said that the object arrived. `reconcile` and `replay` are Cygnet itself, through the same queue as a
 * live event.
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

/** One object version that arrived. A hint only: what the store says on reading the object is the truth. */
export interface ObjectArrival {
  readonly bucket: string
  /** The object's key as S3 clients write it: decoded, never empty, at most 1024 bytes of UTF-8. */
  readonly key: string
  readonly sizeBytes: number | null
  /**
   * Without quotes; an MD5 (with or without its multipart suffix) in lower case, any other ETag as the store
   * wrote it.
   */
  readonly etag: string | null
  /** null where the bucket keeps no versions (the stores say `null`, an empty text or nothing). */
  readonly versionId: string | null
  /** Orders the events of one key: text to be compared within one store only. */
  readonly sequencer: string | null
  /** Without the `s3:` prefix: `ObjectCreated:Put`. */
  readonly eventName: string
  readonly eventTime: Date | null
  readonly source: ArrivalSource
}

/**
 * The arrivals without repetitions, in the order given. Stores repeat themselves within one payload too. The
 * sequencer and the time count: content that was put, replaced and put again makes three arrivals, the last
 * of which is the newest.
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
