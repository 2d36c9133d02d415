/** What people read of an alert. */
import { expect, test } from 'vitest'
import type { Episode } from '../../../shared/alerts/fold.ts'
import { messageOf } from '../../../shared/alerts/message.ts'

const at = (time: string) => new Date(`2026-11-30T${time}Z`)
const ADDRESSES = { catalogue: 'https://cygnet.example.org/', runbook: undefined }
const CREATED = at('20:10:00')

const episode = (parts: Partial<Episode> = {}): Episode => ({
  id: 7,
  fingerprint: 'f',
  rule: 'checksum-mismatch',
  severity: 'page',
  labels: { alertname: 'checksum-mismatch' },
  subject: '',
  tag: 'FLASH/2024',
  runNumber: 4711,
  runId: 3,
  bucket: 'cygno-data',
  objectKey: 'FLASH/2024/run04711.mid.gz',
  summary: 'run 4711 of FLASH/2024 has other bytes',
  facts: { 'size, MB': 812 },
  attachment: null,
  since: at('20:00:00'),
  lastSeen: at('20:05:00'),
  count: 3,
  acknowledgedBy: null,
  acknowledgedAt: null,
  comment: null,
  resolvedAt: null,
  resolvedBy: null,
  held: null,
  revision: 1,
  ...parts,
})

const shown = (parts: Partial<Episode> = {}, kind: 'alert' | 'escalation' = 'alert') => {
  const message = messageOf({ kind, createdAt: CREATED }, [episode(parts)], ADDRESSES)
  if (message === null) throw new Error('nothing is shown')
  return message
}
const fieldsOf = (parts: Partial<Episode> = {}) =>
  Object.fromEntries(shown(parts).fields.map(({ name, value }) => [name, value]))

test('a message states what, since when, how often, which run and file, and the numbers', () => {
  const { title, text, state, severity } = shown()
  expect({ title, state, severity }).toEqual({
    title: 'checksum-mismatch, run 4711 of FLASH/2024',
    state: 'firing',
    severity: 'page',
  })
  expect(text).toContain('run 4711 of FLASH/2024 has other bytes')
  expect(fieldsOf()).toEqual({
    Since: at('20:00:00'),
    'Last seen': at('20:05:00'),
    Count: '3',
    Run: '4711',
    Tag: 'FLASH/2024',
    File: 'FLASH/2024/run04711.mid.gz',
    'size, MB': '812',
  })
})

test('a message leads to the page of the run', () => {
  expect(shown().links[0]).toEqual({
    label: 'Run 4711',
    url: 'https://cygnet.example.org/runs/FLASH%2F2024/4711',
  })
  expect(shown({ runNumber: null }).links).toEqual([])
})

test('a message states who has acknowledged the alert, and the comment', () => {
  const acknowledged = { acknowledgedBy: 'anna', acknowledgedAt: at('20:07:00'), comment: 'I look at it' }
  expect(shown(acknowledged).state).toBe('acknowledged')
  expect(fieldsOf(acknowledged)).toMatchObject({
    'Acknowledged by': 'anna',
    Acknowledged: at('20:07:00'),
    Comment: 'I look at it',
  })
})

test.each([
  ['20:00:45', '45 s'],
  ['20:12:10', '12 min'],
  ['23:20:00', '3 h 20 min'],
])('a message of an alert that was resolved at %s states that it lasted %s', (time, lasted) => {
  const over = { resolvedAt: at(time), resolvedBy: 'rule' }
  // An alert that fires at the same time as it is acknowledged is still over.
  expect(shown({ ...over, acknowledgedAt: at('20:00:10') }).state).toBe('resolved')
  expect(fieldsOf(over)).toMatchObject({ Resolved: at(time), Lasted: lasted })
  expect(fieldsOf(over)).not.toHaveProperty('Resolved by')
})

test('information is not shown as something that has ended', () => {
  const info = { rule: 'history-found', severity: 'info', resolvedAt: at('20:00:00'), count: 1 } as const
  expect(shown(info).state).toBe('information')
  expect(fieldsOf(info)).toMatchObject({ At: at('20:00:00') })
  expect(fieldsOf(info)).not.toHaveProperty('Resolved')
})

test('an escalation states for how long nobody has acknowledged the page, until somebody does', () => {
  expect(shown({}, 'escalation').text).toMatch(/^Nobody has acknowledged this for 10 minutes\. run 4711/)
  expect(shown({ acknowledgedAt: at('20:11:00') }, 'escalation').text).toMatch(/^run 4711/)
})

test('a digest fits into a message of 2000 characters, with a line for each alert', () => {
  const listed = Array.from({ length: 30 }, (_, index) =>
    episode({
      runNumber: 1000 + index,
      objectKey: `LNGS/run0${1000 + index}_with_a_very_long_name_of_a_file.mid.gz`,
      count: 12_345,
      acknowledgedAt: at('20:01:00'),
    }),
  )
  const digest = messageOf({ kind: 'digest', createdAt: CREATED }, listed, ADDRESSES)
  // Channels write a backslash before what would be markup.
  expect(digest?.text.replaceAll('_', '\\_').length).toBeLessThan(2000)
  const lines = digest?.text.split('\n') ?? []
  expect(lines).toHaveLength(30)
  lines.forEach((line, index) => {
    expect(line).toContain(`run0${1000 + index}`)
  })
  expect(digest?.state).toBe('acknowledged')
})
