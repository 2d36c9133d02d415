/** What identifies a condition: the same each time that it is found, at its end, and across versions of Cygnet. */
import { expect, test } from 'vitest'
import { alerts } from '../../../shared/messages/alerts.ts'
import { encodeRequest } from '../../../shared/messages/requests.ts'
import { alert, resolved } from '../../../shared/work/raise-alert.ts'

const file = {
  rule: 'checksum-mismatch',
  run: { id: 7, tag: 'LNGS', runNumber: 12_345 },
  object: { bucket: 'cygno-data', key: 'LNGS/run12345.mid.gz' },
} as const
const found = (more: object = {}) =>
  alert({ ...file, severity: 'page', summary: 'it differs', cause: 'e1', ...more })
const fingerprintOf = (request: Parameters<typeof encodeRequest>[0]) =>
  alerts.parse(encodeRequest(request)).fingerprint

test('a condition has the same fingerprint whatever its numbers, its cause and its summary are, and at its end', () => {
  const fingerprints = [
    found(),
    found({ summary: 'once more', facts: { sizeBytes: 12 }, cause: 'e2' }),
    resolved({ ...file, summary: 'mended' }),
  ].map(fingerprintOf)
  expect(new Set(fingerprints).size).toBe(1)
})

test.each([
  ['rule', { rule: 'incomplete-file', severity: 'warning' }],
  ['run', { run: { id: 8, tag: 'LNGS', runNumber: 12_346 } }],
  ['file', { object: { bucket: 'cygno-data', key: 'LNGS/run12345.mid' } }],
  ['subject', { subject: 'the store' }],
  ['contents of a copy', { contents: 'ab'.repeat(32) }],
])('conditions of another %s are told apart', (_, more) => {
  expect(fingerprintOf(found(more))).not.toBe(fingerprintOf(found()))
})

test('a cause counts once, and a call without one always', () => {
  expect(found().name).toBe(found({ summary: 'once more' }).name)
  expect(found({ cause: undefined }).name).not.toBe(found({ cause: undefined }).name)
  expect(found({ cause: 'x'.repeat(5000) }).name.length).toBeLessThan(120)
})

test('an alert about a file that an earlier version wrote ends with the condition', () => {
  const { bucket, key } = file.object
  const before = {
    rule: file.rule,
    severity: 'page',
    summary: 'it differs',
    fingerprint: '0a1b:2',
    bucket,
    key,
  }
  const message = alerts.parse(JSON.stringify({ ...before, tag: 'LNGS', runNumber: 12_345 }))
  expect(message).toMatchObject({ kind: 'raise', subject: '' })
  expect(message.fingerprint).toBe(fingerprintOf(resolved({ ...file, summary: 'mended' })))
})
