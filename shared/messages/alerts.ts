/** Queue `alerts`: a condition that people should hear of, or that has ended. */
import * as z from 'zod'
import { fingerprintOf, labelsOf } from './alert-labels.ts'
import { ALERT_RULES, type AlertRule, SEVERITIES } from './alert-rules.ts'
import { objectNameFields, requestField, runFields } from './fields.ts'
import { requestFormat } from './format.ts'

const attachment = z.object({ ...objectNameFields, contentType: z.string() })

const schema = z.object({
  ...requestField('`alert:<rule>:<cause>`'),
  kind: z.enum(['raise', 'resolve']).describe('whether the condition was found, or has ended'),
  fingerprint: z
    .string()
    .min(1)
    .describe('what it is about, from the labels: the same condition has the same fingerprint'),
  rule: z.enum(Object.keys(ALERT_RULES) as [AlertRule]).describe('see below'),
  severity: z.enum(SEVERITIES).describe('how urgent it is'),
  labels: z
    .record(z.string(), z.string())
    .describe('names and values as in Prometheus, among them `alertname`'),
  subject: z
    .string()
    .describe('the endpoint, bucket, queue, machine … that it is about; empty where it is a run or file'),
  summary: z.string().describe('one sentence for a person'),
  facts: z.record(z.string(), z.union([z.string(), z.number()])).describe('numbers for a person, with units'),
  tag: runFields.tag.nullable().describe('of the run, null where none is known'),
  runNumber: runFields.runNumber.nullable().describe('of the run, null where none is known'),
  bucket: objectNameFields.bucket.nullable().describe('of the object, null where it is about none'),
  key: objectNameFields.key.nullable().describe('of the object, null where it is about none'),
  attachment: attachment.nullable().describe('a picture in the store; null: none'),
})

/**
 * Its rule may be one of an earlier version of Cygnet, which wrote no labels: without a file the occurrence is the
 * subject.
 */
const relied = schema
  .omit({ request: true })
  .partial({ kind: true, labels: true, subject: true, facts: true, attachment: true })
  .extend({ rule: z.string() })
  .transform((message) => {
    const { subject = message.key === null ? message.fingerprint : '' } = message
    const labels = message.labels ?? labelsOf({ ...message, subject })
    const { kind = 'raise', facts = {}, attachment = null } = message
    return { ...message, kind, subject, labels, fingerprint: fingerprintOf(labels), facts, attachment }
  })

/** A message as its reader has it. */
export type AlertSignal = z.output<typeof relied>

export const alerts = requestFormat({
  named: 'an alert',
  purpose: 'One message each time that a condition was found that people should hear of, or has ended.',
  writer: 'whatever finds the condition, in the transaction that records it',
  reader: 'dispatch-alert, which folds them into episodes (table `alerts`) and shows those in the channels',
  promise:
    'The same cause is written once. The rule may be one of an earlier version: a reader takes any text for it.',
  schema,
  relied,
  example: {
    request: 'alert:incomplete-file:5f0c1c2b7a9d4e88b1f3a6d2c4e59078',
    kind: 'raise',
    fingerprint: '9ab5388d2ddf22848c5e6b252e1dfee5',
    rule: 'incomplete-file',
    severity: 'warning',
    labels: {
      alertname: 'incomplete-file',
      severity: 'warning',
      tag: 'LNGS',
      run: '12345',
      bucket: 'cygno-data',
      key: 'LNGS/run12345.mid.gz',
    },
    subject: '',
    summary: 'run 12345 of LNGS is incomplete: the file ends within an event',
    facts: {},
    tag: 'LNGS',
    runNumber: 12345,
    bucket: 'cygno-data',
    key: 'LNGS/run12345.mid.gz',
    attachment: null,
  },
})
