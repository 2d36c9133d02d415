/** Queue `reco-requests`: a run that can be reconstructed. */
import * as z from 'zod'
import { objectVersionFields, requestField, runFields } from './fields.ts'
import { requestFormat } from './format.ts'

const schema = z.object({
  ...requestField(
    '`reco:<run id>:<hashes of its file versions>`: a new version of a file makes a new request',
  ),
  ...runFields,
  pedestal: z.boolean().describe('true for a pedestal run'),
  triggerEvents: z.int().nonnegative().describe('trigger events in the files of the run'),
  fileCount: z.int().positive().describe('how many files the run has'),
  files: z
    .array(
      z.object({
        ...objectVersionFields,
        md5: z.string().describe('of the bytes when they were catalogued, lower-case hex'),
      }),
    )
    .nullable()
    .describe(
      'in the order of their subruns; null for a run of more than 500 files, which the catalogue lists',
    ),
})

export const recoRequests = requestFormat({
  named: 'a request for a reconstruction',
  purpose:
    'One message per complete run with camera frames and more than CYGNET_RECO_MINIMUM_EVENTS trigger events.',
  writer: 'extract-metadata, with the catalogue entry that completes the run',
  reader: 'none yet: the function that submits reconstruction jobs is still to be built',
  promise: 'The run is complete and no checksum of its files disagrees.',
  schema,
  relied: schema,
  example: {
    request: 'reco:81:5f0c1c2b7a9d4e88',
    tag: 'LNGS',
    runNumber: 12345,
    pedestal: false,
    triggerEvents: 412,
    fileCount: 1,
    files: [
      {
        bucket: 'cygno-data',
        key: 'LNGS/run12345.mid.gz',
        etag: '9a0364b9e99bb480dd25e1f0284c8555',
        versionId: null,
        sizeBytes: 734003200,
        md5: '9a0364b9e99bb480dd25e1f0284c8555',
      },
    ],
  },
})
