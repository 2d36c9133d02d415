import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { ObjectArrival } from '../../../shared/notifications/arrival.ts'
import { parseNotification } from '../../../shared/notifications/parse.ts'
import { arrival, MD5 } from '../../support/notifications/arrivals.ts'

const EVENTS = new URL('../../../events/', import.meta.url)
const recorded = readdirSync(EVENTS).filter((name) => name.endsWith('.json'))
const read = (name: string) => readFileSync(new URL(name, EVENTS), 'utf8')

const minio: ObjectArrival = {
  ...arrival,
  sizeBytes: 5,
  etag: '5d41402abc4b2a76b9719d911017c592',
  source: 'minio',
}
const at = (time: string) => new Date(time)

/** What each recorded notification says; null where nothing arrived. */
const expected: Readonly<Record<string, ObjectArrival | { readonly ignored: string }>> = {
  'aws-put.json': arrival,
  'aws-put-encoded-key.json': {
    ...arrival,
    key: 'TEST è/a+b %41/run00007.mid.gz',
    sizeBytes: 10,
    versionId: '096fKKXTRTtl3on89fVO.nfljtsv6qko',
    sequencer: '0066471F0F6C5A1B2D',
  },
  'aws-multipart.json': {
    ...arrival,
    key: 'LNGS/run12346.mid.gz',
    sizeBytes: 5_400_000_001,
    etag: '4af981f98d22a0b9979da24b259e5e42-12',
    sequencer: '0066471F0F6C5A1B2E',
    eventName: 'ObjectCreated:CompleteMultipartUpload',
  },
  'aws-object-tagging.json': { ignored: 'ObjectTagging:Put' },
  'aws-object-removed.json': { ignored: 'ObjectRemoved:Delete' },
  'aws-lifecycle-expiration.json': { ignored: 'LifecycleExpiration:Delete' },
  'aws-test-event.json': { ignored: 'TestEvent' },
  'aws-sns-wrapped.json': arrival,
  'aws-eventbridge.json': {
    ...arrival,
    versionId: '096fKKXTRTtl3on89fVO.nfljtsv6qko',
    eventTime: at('2024-05-17T09:12:31Z'),
    source: 'cloudevent',
  },
  'cloudevent.json': arrival,
  'embedded-put.json': { ...arrival, source: 'embedded' },
  'ceph-put.json': { ...arrival, sequencer: 'FF1F476600A1B2C3', source: 'ceph' },
  'ceph-put-raw-key.json': {
    ...arrival,
    key: 'TEST è/a+b %41/run00007.mid.gz',
    sizeBytes: 10,
    sequencer: 'FF1F476600A1B2C4',
    source: 'ceph',
  },
  'ceph-multipart.json': {
    ...arrival,
    key: 'LNGS/run12346.mid.gz',
    sizeBytes: 5_400_000_001,
    etag: '4af981f98d22a0b9979da24b259e5e42-12',
    versionId: 'kQ3eV1nFkq8bXx2nS7m2b1yJ0mJ8w8d',
    sequencer: 'FF1F476600A1B2C5',
    eventName: 'ObjectCreated:CompleteMultipartUpload',
    source: 'ceph',
  },
  'ceph-lifecycle-expiration.json': { ignored: 'ObjectLifecycle:Expiration:Current' },
  'ceph-delete.json': { ignored: 'ObjectRemoved:Delete' },
  'minio-put.json': { ...minio, sequencer: '18EA50FEA4FDF62B', eventTime: at('2026-11-22T08:34:16.082Z') },
  'minio-put-encoded-key.json': {
    ...minio,
    key: 'LNGS/a+b %41 è/run1.mid.gz',
    sequencer: '18EA50FEA5590BB0',
    eventTime: at('2026-11-22T08:34:16.088Z'),
  },
  'minio-copy.json': {
    ...minio,
    key: 'LNGS/run12346.mid.gz',
    sequencer: '18EA50FEA5B75FE8',
    eventName: 'ObjectCreated:Copy',
    eventTime: at('2026-11-22T08:34:16.093Z'),
  },
  'minio-multipart.json': {
    ...minio,
    key: 'LNGS/run12347.mid.gz',
    sizeBytes: 6_000_000,
    etag: '7f1acde74ae749d9db68af2cbf621d6f-1',
    sequencer: '18EA50FEA90C600A',
    eventName: 'ObjectCreated:CompleteMultipartUpload',
    eventTime: at('2026-11-22T08:34:16.150Z'),
  },
  'minio-put-versioned.json': {
    ...minio,
    key: 'LNGS/run12348.mid.gz',
    versionId: '00000000-0000-4000-8000-000000000005',
    sequencer: '18EA50FEA9BD480F',
    eventTime: at('2026-11-22T08:34:16.161Z'),
  },
  'minio-put-tagging.json': { ignored: 'ObjectCreated:PutTagging' },
  'minio-delete-marker.json': { ignored: 'ObjectRemoved:DeleteMarkerCreated' },
}

test('every recorded notification has its expectation', () => {
  expect(recorded.toSorted()).toEqual(Object.keys(expected).toSorted())
})

test.each(recorded)('%s is read field by field', (name) => {
  const wanted = expected[name]
  const parsed = parseNotification(read(name))
  expect(parsed.rejected).toEqual([])
  if (wanted !== undefined && 'ignored' in wanted) {
    expect(parsed.arrivals).toEqual([])
    expect(parsed.ignored).toEqual([{ eventName: wanted.ignored, reason: expect.any(String) }])
  } else {
    expect(parsed.arrivals).toEqual([wanted])
    expect(parsed.ignored).toEqual([])
  }
})

test('the same object comes out of AWS and Ceph, though only AWS encodes its key', () => {
  const [aws] = parseNotification(read('aws-put-encoded-key.json')).arrivals
  const [ceph] = parseNotification(read('ceph-put-raw-key.json')).arrivals
  expect(ceph?.key).toBe(aws?.key)
  expect(ceph?.etag).toBe(MD5)
})
