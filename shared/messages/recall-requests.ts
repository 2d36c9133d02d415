/** Queue `recall-requests`: a file that is to come back from tape. */
import * as z from 'zod'
import { objectNameFields, objectVersionFields, requestField, runFields } from './fields.ts'
import { requestFormat } from './format.ts'

const schema = z.object({
  ...requestField(
    '`recall:<recall id>:<generation>`: the same recall has the same name; requested again after it ended, it has the next generation',
  ),
  replicaId: z.int().positive().describe('id of the recall'),
  ...runFields,
  ...objectNameFields,
  sizeBytes: objectVersionFields.sizeBytes,
})

export const recallRequests = requestFormat({
  named: 'a request for a recall',
  purpose: 'One message per file that is to come back from tape, and request.',
  writer: 'catalog-api and `cygnet recall`, with the row',
  reader: 'recall-run, which advances the recalls that are due as far as they get now',
  promise:
    'The row and its task exist before the message does. track-tape advances the same tasks every minute, so a lost message only delays the recall.',
  schema,
  relied: schema,
  example: {
    request: 'recall:271:1',
    replicaId: 271,
    tag: 'LNGS',
    runNumber: 12345,
    bucket: 'cygno-data',
    key: 'LNGS/run12345.mid.gz',
    sizeBytes: 734003200,
  },
})
