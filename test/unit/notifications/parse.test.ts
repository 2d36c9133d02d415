import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeNotification } from '../../../shared/messages/runs.ts'
import { distinctArrivals } from '../../../shared/notifications/arrival.ts'
import { parseNotification } from '../../../shared/notifications/parse.ts'
import { arrival, arrivals, keys, record } from '../../support/notifications/arrivals.ts'

const parse = (...records: readonly unknown[]) => parseNotification({ Records: records })
const one = (value: unknown) => {
  const parsed = parse(value)
  expect(parsed.rejected).toEqual([])
  expect(parsed.arrivals).toHaveLength(1)
  return parsed.arrivals[0]
}
const reason = (value: unknown) => {
  const parsed = parse(value)
  expect(parsed.arrivals).toEqual([])
  expect(parsed.rejected).toHaveLength(1)
  expect(parsed.rejected[0]?.record).toEqual(value)
  return parsed.rejected[0]?.reason
}

describe('one bad record never spoils the others', () => {
  test('valid, invalid and irrelevant records of one payload are separated, in order', () => {
    const parsed = parse(
      record({ key: 'LNGS/run1.mid.gz' }),
      null,
      record({ key: '100%' }),
      record({}, { eventName: 'ObjectRemoved:Delete' }),
      'text',
      record({ key: 'LNGS/run2.mid.gz' }),
    )
    expect(parsed.arrivals.map(({ key }) => key)).toEqual(['LNGS/run1.mid.gz', 'LNGS/run2.mid.gz'])
    expect(parsed.ignored).toEqual([
      { reason: 'not the arrival of an object', eventName: 'ObjectRemoved:Delete' },
    ])
    expect(parsed.rejected.map(({ reason }) => reason)).toEqual([
      'this is not an S3 notification',
      'the object key has a malformed % escape',
      'the notification is not JSON',
    ])
  })

  test('whatever is put between two good records, both arrive and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.anything(), (garbage) => {
        const parsed = parse(record({ key: 'first' }), garbage, record({ key: 'last' }))
        expect(parsed.arrivals.at(0)?.key).toBe('first')
        expect(parsed.arrivals.at(-1)?.key).toBe('last')
      }),
    )
  })

  test('a record with any one field replaced by anything is read, ignored or rejected, never a crash', () => {
    const paths = [
      ['eventName'],
      ['eventSource'],
      ['eventTime'],
      ['s3'],
      ['s3', 'bucket'],
      ['s3', 'bucket', 'name'],
      ['s3', 'object'],
    ].concat(['key', 'size', 'eTag', 'versionId', 'sequencer'].map((name) => ['s3', 'object', name]))
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.anything(), (path, value) => {
        const broken: Record<string, unknown> = structuredClone(record())
        const parent = path.slice(0, -1).reduce((part, name) => part[name] as Record<string, unknown>, broken)
        parent[path.at(-1) ?? ''] = value
        const { arrivals, ignored, rejected } = parse(broken)
        for (const { key, bucket } of arrivals) expect(key.length * bucket.length).toBeGreaterThan(0)
        if (!Array.isArray(value)) expect(arrivals.length + ignored.length + rejected.length).toBe(1)
      }),
    )
  })
})

describe('keys', () => {
  test('AWS writes a blank as + and a plus as %2B', () => {
    expect(one(record({ key: 'a+b%2Bc%20d/%C3%A8' }))?.key).toBe('a b+c d/è')
  })

  test('MinIO encodes the slash too', () => {
    expect(
      one(
        record({ key: 'LNGS%2Frun1.mid.gz' }, { eventSource: 'minio:s3', eventName: 's3:ObjectCreated:Put' }),
      ),
    ).toMatchObject({
      key: 'LNGS/run1.mid.gz',
      eventName: 'ObjectCreated:Put',
      source: 'minio',
    })
  })

  test.each(['a+b', '%41', '100%', 'è/日本', '%zz', 'a b'])(
    'Ceph sends %s as it is, and it stays so',
    (key) => {
      expect(one(record({ key }, { eventSource: 'ceph:s3' }))?.key).toBe(key)
    },
  )

  test('any key survives the encoding of AWS and of MinIO', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const aws = encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
        const minio = encodeURIComponent(key).replaceAll('%20', '+')
        expect(one(record({ key: aws }))?.key).toBe(key)
        expect(one(record({ key: minio }, { eventSource: 'minio:s3' }))?.key).toBe(key)
        expect(one(record({ key }, { eventSource: 'ceph:s3' }))?.key).toBe(key)
      }),
    )
  })

  test.each([
    ['an empty key', '', 'the object key is empty'],
    ['a % that starts no escape', 'run%', 'the object key has a malformed % escape'],
    ['an escape of no hexadecimal digits', 'run%zz1', 'the object key has a malformed % escape'],
    ['escapes that are not UTF-8', 'run%C3%28', 'the object key has a malformed % escape'],
    ['half a surrogate pair', 'run\ud800', 'the object key is not valid Unicode'],
    ['more than 1024 bytes', 'è'.repeat(513), 'the object key is longer than 1024 bytes'],
    ['a number', 12345, 'the object has no key'],
  ])('%s is rejected', (_, key, wanted) => {
    expect(reason(record({ key }))).toBe(wanted)
  })
})

describe('fields that only describe the object may be missing or invalid', () => {
  test.each([
    ['size', undefined, { sizeBytes: null }],
    ['size', -1, { sizeBytes: null }],
    ['size', 1.5, { sizeBytes: null }],
    ['size', 1e300, { sizeBytes: null }],
    ['size', '1588093', { sizeBytes: 1588093 }],
    ['size', 0, { sizeBytes: 0 }],
    ['eTag', undefined, { etag: null }],
    ['eTag', '', { etag: null }],
    ['eTag', 7, { etag: null }],
    ['eTag', '"0123456789ABCDEF0123456789abcdef"', { etag: '0123456789abcdef0123456789abcdef' }],
    ['eTag', '0123456789ABCDEF0123456789abcdef-12', { etag: '0123456789abcdef0123456789abcdef-12' }],
    ['eTag', '"CPjK+aBc=="', { etag: 'CPjK+aBc==' }],
    ['versionId', 'null', { versionId: null }],
    ['versionId', '', { versionId: null }],
    ['versionId', null, { versionId: null }],
    ['versionId', 'V1', { versionId: 'V1' }],
    ['sequencer', undefined, { sequencer: null }],
    ['sequencer', '', { sequencer: null }],
    ['sequencer', 12, { sequencer: null }],
  ])('%s %j', (name, value, wanted) => {
    expect(one(record({ [name]: value }))).toEqual({ ...arrival, ...wanted })
  })

  test.each([
    ['2019-11-22T13:47:35.124724Z', '2019-11-22T13:47:35.124Z'],
    ['2019-11-22 13:47:35.124724Z', '2019-11-22T13:47:35.124Z'],
    ['2019-11-22T13:47:35', '2019-11-22T13:47:35.000Z'],
    ['2019-11-22T14:47:35+01:00', '2019-11-22T13:47:35.000Z'],
  ])('the time %s is %s', (eventTime, wanted) => {
    expect(one(record({}, { eventTime }))?.eventTime).toEqual(new Date(wanted))
  })

  test.each([undefined, null, '', 'yesterday', 1700000000, '0000-01-01T00:00:00Z', '2019-13-45T99:00:00Z'])(
    'the time %j is none',
    (eventTime) => {
      expect(one(record({}, { eventTime }))?.eventTime).toBeNull()
    },
  )
})

describe('where the object is must be right', () => {
  test.each([
    ['no s3 part', { s3: undefined }, 'the record has no s3 part'],
    ['no bucket', { s3: { object: { key: 'a' } } }, 'the record names no bucket'],
    ['a bucket without name', { s3: { bucket: {}, object: { key: 'a' } } }, 'the bucket has no name'],
    [
      'an empty bucket name',
      { s3: { bucket: { name: '' }, object: { key: 'a' } } },
      'the bucket has no name',
    ],
    ['no object', { s3: { bucket: { name: 'b' } } }, 'the record names no object'],
    [
      'a version that is no text',
      { s3: { bucket: { name: 'b' }, object: { key: 'a', versionId: 3 } } },
      'the version id is not a text',
    ],
  ])('%s is rejected', (_, event, wanted) => {
    expect(reason({ ...record(), ...event })).toBe(wanted)
  })

  test('a record without event name is rejected', () => {
    expect(reason({ ...record(), eventName: undefined })).toBe('the record has no event name')
  })
})

describe('what is no arrival is ignored, not rejected', () => {
  test.each([
    's3:ObjectCreated:PutTagging',
    's3:ObjectCreated:DeleteTagging',
    's3:ObjectCreated:PutRetention',
    's3:ObjectCreated:PutLegalHold',
    'ObjectTagging:Put',
    'ObjectAcl:Put',
    'ObjectRemoved:DeleteMarkerCreated',
    's3:ObjectRemoved:NoOP',
    's3:ObjectAccessed:Get',
    's3:BucketCreated:*',
    'ObjectRestore:Completed',
    'LifecycleTransition',
    'Replication:OperationFailedReplication',
    's3:Scanner:ManyVersions',
  ])('%s', (eventName) => {
    const parsed = parse({ eventName, s3: { bucket: { name: 'b' } } })
    expect(parsed).toMatchObject({
      arrivals: [],
      rejected: [],
      ignored: [{ eventName: eventName.replace('s3:', '') }],
    })
  })

  test.each([
    'ObjectCreated:Put',
    's3:ObjectCreated:Post',
    'ObjectCreated:Copy',
    's3:ObjectCreated:CompleteMultipartUpload',
    's3:ObjectSynced:Create',
  ])('%s is an arrival', (eventName) => {
    expect(one(record({}, { eventName }))?.eventName).toBe(eventName.replace('s3:', ''))
  })
})

describe('envelopes', () => {
  const body = { Records: [record()] }
  const text = JSON.stringify(body)
  test.each([
    ['JSON text', text],
    ['a bare record', record()],
    ['a list of notifications', [body, { Event: 's3:TestEvent' }]],
    ['SNS in SQS', { Type: 'Notification', Message: text }],
    ['messages of Lambda (SQS)', { Records: [{ eventSource: 'aws:sqs', body: text }] }],
    ['messages of Lambda (SNS)', { Records: [{ EventSource: 'aws:sns', Sns: { Message: text } }] }],
    [
      'SNS in messages of Lambda',
      {
        Records: [{ eventSource: 'aws:sqs', body: JSON.stringify({ Type: 'Notification', Message: text }) }],
      },
    ],
    ['a CloudEvent', { specversion: '1.0', id: '1', type: 'x', source: 'y', data: body }],
    [
      'a CloudEvent of bytes',
      {
        specversion: '1.0',
        id: '1',
        type: 'x',
        source: 'y',
        data_base64: Buffer.from(text).toString('base64'),
      },
    ],
  ])('%s is opened', (_, payload) => {
    expect(parseNotification(payload).arrivals).toEqual([arrival])
  })

  test('EventBridge keys are not encoded, and what is no creation is ignored', () => {
    const detail = { bucket: { name: 'b' }, object: { key: 'a+b %41', 'version-id': 'null' } }
    expect(
      parseNotification({ source: 'aws.s3', 'detail-type': 'Object Created', detail }).arrivals,
    ).toMatchObject([
      { key: 'a+b %41', versionId: null, source: 'cloudevent', eventName: 'ObjectCreated:Put' },
    ])
    expect(
      parseNotification({ source: 'aws.s3', 'detail-type': 'Object Deleted', detail }).ignored,
    ).toHaveLength(1)
    expect(
      parseNotification({ source: 'aws.ec2', 'detail-type': 'Object Created', detail }).rejected,
    ).toHaveLength(1)
  })

  test('envelopes without end are rejected, not followed', () => {
    let payload: unknown = body
    for (let depth = 0; depth < 1000; depth++) payload = [payload]
    expect(parseNotification(payload).rejected).toMatchObject([
      { reason: 'the notification is wrapped too deeply' },
    ])
  })

  test.each([
    [null],
    [undefined],
    [7],
    [true],
    [{}],
    [{ Records: 'none' }],
    [{ Records: null }],
    ['{"Records":'],
    [''],
  ])('%j is rejected', (payload) => {
    expect(parseNotification(payload)).toMatchObject({
      arrivals: [],
      ignored: [],
      rejected: [{ record: payload }],
    })
  })

  test('anything at all gives a result', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.json()), (payload) => {
        expect(parseNotification(payload).arrivals).toEqual([])
      }),
    )
  })
})

describe('our own messages', () => {
  test('arrivals are restored unchanged, from any source', () => {
    fc.assert(
      fc.property(fc.array(arrivals, { maxLength: 5 }), (sent) => {
        expect(parseNotification(encodeNotification(sent))).toEqual({
          arrivals: sent,
          ignored: [],
          rejected: [],
        })
      }),
    )
  })

  test('what would be ignored on the other side is not sent', () => {
    expect(() => encodeNotification([{ ...arrival, eventName: 'ObjectRemoved:Delete' }])).toThrow(
      'ObjectRemoved:Delete is not the arrival',
    )
  })

  test('an unknown source is not trusted', () => {
    expect(one({ ...record(), cygnet: { source: 'root' } })?.source).toBe('aws')
  })
})

describe('distinctArrivals', () => {
  test('the same version twice is one arrival; the same content put again later is another', () => {
    const again = { ...arrival, sequencer: '0066471F0F6C5A1B2D' }
    const other = { ...arrival, key: 'LNGS/run12346.mid.gz' }
    expect(distinctArrivals([arrival, other, { ...arrival }, again, other])).toEqual([arrival, other, again])
  })
})
