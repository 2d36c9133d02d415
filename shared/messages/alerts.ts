/** Queue `alerts`: a condition that people should hear of. */
import * as z from 'zod'
import { ALERT_RULES, type AlertRule, SEVERITIES } from './alert-rules.ts'
import { objectNameFields, requestField, runFields } from './fields.ts'
import { requestFormat } from './format.ts'

const schema = z.object({
  ...requestField('`alert:<fingerprint>`'),
  fingerprint: z
    .string()
    .min(1)
    .describe('`<rule>:<occurrence>`, what it is about: the same condition has the same fingerprint'),
  rule: z.enum(Object.keys(ALERT_RULES) as [AlertRule]).describe('see below'),
  severity: z.enum(SEVERITIES).describe('how urgent it is'),
  summary: z.string().describe('one sentence for a person'),
  tag: runFields.tag.nullable().describe('of the run, null where none is known'),
  runNumber: runFields.runNumber.nullable().describe('of the run, null where none is known'),
  bucket: objectNameFields.bucket.nullable().describe('of the object, null where it is about none'),
  key: objectNameFields.key.nullable().describe('of the object, null where it is about none'),
})

/** What is shown of an alert. Its rule may be one of an earlier version of Cygnet. */
export const shownAlert = schema
  .pick({ severity: true, summary: true, tag: true, runNumber: true })
  .extend({ rule: z.string() })

export const alerts = requestFormat({
  named: 'an alert',
  purpose: 'One message per condition that people should hear of.',
  writer: 'whatever finds the condition, in the transaction that records it',
  reader:
    'none yet: the function that posts alerts is still to be built; the pages show them from the table `outbox`',
  promise:
    'A fingerprint is written once. The rule may be one of an earlier version: a reader takes any text for it.',
  schema,
  relied: shownAlert,
  example: {
    request: 'alert:incomplete-file:5f0c1c2b7a9d4e88b1f3a6d2c4e59078',
    fingerprint: 'incomplete-file:5f0c1c2b7a9d4e88b1f3a6d2c4e59078',
    rule: 'incomplete-file',
    severity: 'warning',
    summary: 'run 12345 of LNGS is incomplete: the file ends within an event',
    tag: 'LNGS',
    runNumber: 12345,
    bucket: 'cygno-data',
    key: 'LNGS/run12345.mid.gz',
  },
})
