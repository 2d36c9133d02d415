/** Queue `tape-requests`: a file that is to be copied to tape. */
import * as z from 'zod'
import { objectVersionFields, requestField, runFields } from './fields.ts'
import { requestFormat } from './format.ts'

const schema = z.object({
  ...requestField(
    '`tape:<hash of bucket, key and version>`: the same object version has the same name; one that comes back after other contents gets another',
  ),
  ...runFields,
  ...objectVersionFields,
  md5: z.string().describe('of the bytes when they were catalogued, lower-case hex'),
  adler32: z.string().describe('of the same bytes, lower-case hex'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe('of the same bytes, lower-case hex: with the key it names the contents to copy'),
  priority: z.enum(['live', 'backlog']).describe('`backlog` when the file came by reconcile or replay'),
})

const relied = schema.pick({
  tag: true,
  runNumber: true,
  bucket: true,
  key: true,
  sha256: true,
  priority: true,
})
export type TapeRequest = Readonly<z.infer<typeof relied>>

export const tapeRequests = requestFormat({
  named: 'a request for a tape copy',
  purpose:
    'One message per object version whose bytes are what they should be, a complete run or not: what a crashed DAQ left is unique.',
  writer: 'extract-metadata, with the catalogue entry of the file',
  reader:
    'request-tape-copy, which writes a row of kind `tape` into `replicas` and then acknowledges the message',
  promise:
    'The catalogue has these contents. A message for contents that it does not have fails, and ends as a dead letter. track-tape finds files without a row by itself, so a lost message only delays the copy.',
  schema,
  relied,
  example: {
    request: 'tape:5f0c1c2b7a9d4e88b1f3a6d2c4e59078',
    tag: 'LNGS',
    runNumber: 12345,
    bucket: 'cygno-data',
    key: 'LNGS/run12345.mid.gz',
    etag: '9a0364b9e99bb480dd25e1f0284c8555',
    versionId: null,
    sizeBytes: 734003200,
    md5: '9a0364b9e99bb480dd25e1f0284c8555',
    adler32: '0d3a91f7',
    sha256: 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73',
    priority: 'live',
  },
})
