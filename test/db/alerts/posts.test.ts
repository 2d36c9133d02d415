/** Which alerts are sent, to which channels, and how often: routes, digests, silences, inhibitions, escalation. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { acknowledge, endSilence, silence } from '../../../shared/alerts/acknowledge.ts'
import { reviewAlerts, showAlerts } from '../../../shared/alerts/dispatch.ts'
import { alert, resolved } from '../../../shared/work/raise-alert.ts'
import {
  type AlertContext,
  type AlertSettings,
  createTestClock,
  startAlertContext,
} from '../../support/alerts/alert-context.ts'
import { createMemoryChannel, type MemoryChannel } from '../../support/alerts/memory-channel.ts'
import { signal } from '../../support/context.ts'

const MINUTE = 60_000
const ON_SHIFT = { first: 'Anna Rossi', second: null }
const ANNA = '100000000000000002'
const escalation = {
  channel: 'experts',
  roleId: '100000000000000001',
  minutes: 10,
  people: { 'Anna Rossi': ANNA },
}
const clock = createTestClock()
let context: AlertContext
beforeAll(async () => {
  context = await startAlertContext(clock)
})
afterAll(() => context?.close())
let [shift, experts]: MemoryChannel[] = []
beforeEach(async () => {
  await context.clear()
  shift = createMemoryChannel({ name: 'shift', now: clock.now })
  experts = createMemoryChannel({ name: 'experts', now: clock.now })
})

/** The channels `shift` and `experts`, by default all alerts in `shift`. */
const using = (settings: AlertSettings = {}) =>
  context.with(
    [shift?.channel, experts?.channel].filter((channel) => channel !== undefined),
    {
      routes: [{ channels: ['shift'] }],
      ...settings,
    },
  )
const show = (of: AlertContext) => showAlerts(of, { withinMs: 10_000 }, signal, of.log)
const minute = async (of: AlertContext, minutes = 1) => {
  clock.advance(minutes * MINUTE)
  await reviewAlerts(of, ON_SHIFT)
  await show(of)
}
const inShift = () => (shift?.messages() ?? []).map(({ state, title }) => `${state}: ${title}`)
const inExperts = () => (experts?.messages() ?? []).map(({ state, title }) => `${state}: ${title}`)
const idOf = async (subject: string) =>
  (
    await context.database
      .selectFrom('alerts')
      .select('id')
      .where('subject', '=', subject)
      .executeTakeFirstOrThrow()
  ).id

const full = (subject: string) =>
  alert({ rule: 'store-is-full', severity: 'error', subject, summary: `the store ${subject} is full` })
const notFull = (subject: string) => {
  const condition = { rule: 'store-is-full', severity: 'error', subject, summary: 'there is room' } as const
  return resolved(condition)
}
const bad = (tag: string, runNumber: number) =>
  alert({
    rule: 'checksum-mismatch',
    severity: 'page',
    run: { id: null, tag, runNumber },
    summary: `run ${runNumber} of ${tag} has other bytes`,
  })

test('an alert goes to the channels of every route that matches its severity, tag or rule', async () => {
  const of = using({
    routes: [
      { severities: ['page'], channels: ['experts'] },
      { tags: ['LNGS'], channels: ['shift'] },
      { rules: ['store-is-full'], channels: ['experts', 'shift'] },
    ],
  })
  await of.raise(bad('LNGS', 1), bad('LNF', 2), full('A'))
  await of.raise(alert({ rule: 'same-contents', severity: 'warning', tag: 'LNF', summary: 'twice' }))
  await show(of)
  expect(inShift()).toEqual(['firing: checksum-mismatch, run 1 of LNGS', 'firing: store-is-full, A'])
  expect(inExperts()).toEqual([
    'firing: checksum-mismatch, run 1 of LNGS',
    'firing: checksum-mismatch, run 2 of LNF',
    'firing: store-is-full, A',
  ])
})

test('information is sent only where a route names it', async () => {
  const of = using({ routes: [{ channels: ['shift'] }, { severities: ['info'], channels: ['experts'] }] })
  await of.raise(
    alert({ rule: 'history-found', severity: 'info', tag: 'LNGS', summary: 'history was found' }),
  )
  await show(of)
  expect(inShift()).toEqual([])
  expect(inExperts()).toEqual(['information: history-found, LNGS'])
})

test('a channel that is added later shows what still fires', async () => {
  const of = using()
  await of.raise(full('A'), full('B'))
  await show(of)
  await of.raise(notFull('A'))
  await show(of)
  await minute(using({ routes: [{ channels: ['shift', 'experts'] }] }))
  expect(inExperts()).toEqual(['firing: store-is-full, B'])
})

test('further alerts of a group within minutes are listed in one digest, and each is visible', async () => {
  const of = using({ digestOver: 3 })
  for (let run = 1; run <= 9; run += 1) {
    await of.raise(bad('LNGS', run), bad('LNF', 100 + run))
    await show(of)
  }
  await minute(of)
  const lngs = (shift?.messages() ?? []).filter(({ title }) => title.includes('LNGS'))
  expect(lngs.map(({ title }) => title)).toEqual([
    'checksum-mismatch, run 1 of LNGS',
    'checksum-mismatch, run 2 of LNGS',
    'checksum-mismatch, run 3 of LNGS',
    'checksum-mismatch: 6 more alerts of LNGS',
  ])
  expect(lngs.at(-1)?.text.split('\n')).toEqual(['run 4', 'run 5', 'run 6', 'run 7', 'run 8', 'run 9'])
  expect(lngs.at(-1)?.severity).toBe('page')
})

test('a digest shows which of its alerts have ended, and is over when all have', async () => {
  const of = using({ digestOver: 1 })
  await of.raise(full('A'), full('B'), full('C'))
  await show(of)
  await of.raise(notFull('B'))
  await minute(of)
  const digest = () => shift?.messages().at(-1)
  expect(digest()?.text.split('\n')).toEqual(['B resolved', 'C'])
  expect(digest()?.state).toBe('firing')
  await of.raise(notFull('C'))
  await minute(of)
  expect(digest()?.state).toBe('resolved')
})

test('an alert has a message of its own again when its group has been quiet', async () => {
  const of = using({ digestOver: 1 })
  await of.raise(full('A'), full('B'))
  await show(of)
  await minute(of, 11)
  await of.raise(full('C'))
  await show(of)
  expect(inShift()).toEqual([
    'firing: store-is-full, A',
    'firing: store-is-full: 1 more alerts',
    'firing: store-is-full, C',
  ])
})

test('alerts of a tag with a long name are listed in a digest too', async () => {
  const of = using({ digestOver: 1 })
  const tag = 'x'.repeat(190)
  await of.raise(bad(tag, 1), bad(tag, 2))
  await show(of)
  expect(shift?.messages()).toHaveLength(2)
  expect(shift?.messages()[1]?.text).toBe('run 2')
})

test('a digest that is full is followed by another one', async () => {
  const of = using({ digestOver: 1 })
  await of.raise(...Array.from({ length: 82 }, (_, index) => full(`S${index}`)))
  await show(of)
  const [, ...digests] = shift?.messages() ?? []
  const lines = digests.flatMap(({ text }) => text.split('\n'))
  expect(lines).toEqual(Array.from({ length: 81 }, (_, index) => `S${index + 1}`))
  expect(digests).toHaveLength(3)
})

test('a message is edited at once when its state changes, and at most every 15 seconds for its count', async () => {
  const of = using()
  let edits = 0
  const counted = shift?.channel
  if (counted === undefined) throw new Error('no channel')
  const counting = of.with([{ ...counted, edit: (...args) => counted.edit(...args).finally(() => edits++) }])
  for (let second = 0; second < 60; second += 1) {
    clock.advance(1000)
    await counting.raise(full('A'))
    await show(counting)
  }
  expect(edits).toBeGreaterThanOrEqual(3)
  expect(edits).toBeLessThanOrEqual(4)
  await counting.raise(notFull('A'))
  await show(counting)
  expect(inShift()).toEqual(['resolved: store-is-full, A'])
  expect(shift?.messages()[0]?.fields).toContainEqual({ name: 'Count', value: '60' })
  expect(shift?.messages()[0]?.fields).toContainEqual({ name: 'Lasted', value: '59 s' })
})

const ofSubject = (value: string) => [{ name: 'subject', value, isRegex: false, isEqual: true }]
const silenceOf = (subject: string, minutes: number) => ({
  matchers: ofSubject(subject),
  startsAt: clock.now(),
  endsAt: new Date(clock.now().getTime() + minutes * MINUTE),
  author: 'anna',
  comment: 'disks are being replaced',
})

test('a silenced alert is recorded and not sent, and is sent when the silence ends and it still fires', async () => {
  const of = using()
  await silence(of, silenceOf('A', 30))
  await of.raise(full('A'), full('B'))
  await minute(of)
  expect(inShift()).toEqual(['firing: store-is-full, B'])
  const { held } = await of.database
    .selectFrom('alerts')
    .select('held')
    .where('subject', '=', 'A')
    .executeTakeFirstOrThrow()
  expect(held).toBe('silenced')
  await minute(of, 31)
  expect(inShift()).toEqual(['firing: store-is-full, B', 'firing: store-is-full, A'])
})

test('an alert that ends while it is silenced is never sent', async () => {
  const of = using()
  await silence(of, silenceOf('A', 30))
  await of.raise(full('A'))
  await show(of)
  await of.raise(notFull('A'))
  await minute(of, 31)
  await minute(of)
  expect(inShift()).toEqual([])
})

test('a message states that its alert was silenced, and fires again when the silence is ended', async () => {
  const of = using()
  await of.raise(full('A'))
  await show(of)
  const id = await silence(of, silenceOf('A', 30))
  await show(of)
  expect(inShift()).toEqual(['silenced: store-is-full, A'])
  expect(await endSilence(of, id)).toBe(true)
  await show(of)
  expect(inShift()).toEqual(['firing: store-is-full, A'])
  expect(await endSilence(of, id)).toBe(false)
})

test('an alert that follows from another one is sent only when it fires after the other has ended', async () => {
  const of = using()
  const about = (key: string) => ({
    run: { id: null, tag: 'LNGS', runNumber: 7 },
    object: { bucket: 'cygno-data', key },
    summary: 'something is wrong',
  })
  const danger = { rule: 'last-copy-in-danger', severity: 'page', ...about('LNGS/run7.mid') } as const
  const missing = (key: string) => alert({ rule: 'copy-missing', severity: 'error', ...about(key) })
  await of.raise(alert(danger), missing('LNGS/run7.mid'), missing('LNGS/other.mid'))
  await minute(of)
  expect(inShift()).toEqual([
    'firing: last-copy-in-danger, run 7 of LNGS',
    'firing: copy-missing, run 7 of LNGS',
  ])
  await of.raise(resolved(danger))
  await show(of)
  await minute(of)
  expect(inShift()).toEqual([
    'resolved: last-copy-in-danger, run 7 of LNGS',
    'firing: copy-missing, run 7 of LNGS',
    'firing: copy-missing, run 7 of LNGS',
  ])
})

test('a page that nobody acknowledges is escalated, each step once, until somebody does', async () => {
  const of = using({ escalation })
  await of.raise(bad('LNGS', 1), full('A'))
  await show(of)
  await minute(of, 9)
  expect(inExperts()).toEqual([])
  await minute(of, 1)
  await minute(of, 1)
  expect(inExperts()).toHaveLength(1)
  expect(experts?.messages()[0]).toMatchObject({
    text: expect.stringContaining('Nobody has acknowledged this for 10 minutes.'),
    mentions: [{ kind: 'user', id: ANNA }],
  })
  await minute(of, 9)
  expect(experts?.messages().map(({ mentions }) => mentions)).toEqual([
    [{ kind: 'user', id: ANNA }],
    [{ kind: 'role', id: escalation.roleId }],
  ])
  const page = await of.database
    .selectFrom('alerts')
    .select('id')
    .where('severity', '=', 'page')
    .executeTakeFirstOrThrow()
  await acknowledge(of, page.id, 'anna', 'I look at it')
  await minute(of, 60)
  expect(inExperts()).toHaveLength(2)
  expect(inExperts().join()).not.toContain('firing')
  expect(shift?.messages()[0]?.fields).toContainEqual({ name: 'Acknowledged by', value: 'anna' })
})

test('of pages in a digest one calls for all, until a person has acknowledged each', async () => {
  const of = using({ escalation, digestOver: 1 })
  await of.raise(bad('LNGS', 1), bad('LNGS', 2), bad('LNGS', 3))
  await show(of)
  await minute(of, 10)
  expect(inExperts()).toEqual(['firing: checksum-mismatch, run 1 of LNGS'])
  const pages = await of.database.selectFrom('alerts').select('id').orderBy('id').execute()
  const take = async (index: number) => await acknowledge(of, pages[index]?.id ?? 0, 'anna', 'I look at it')
  await take(0)
  await minute(of, 1)
  expect(inExperts()).toContain('firing: checksum-mismatch, run 2 of LNGS')
  expect(inExperts().join()).not.toContain('run 3')
  await take(1)
  await take(2)
  await minute(of, 60)
  expect(inExperts().join()).not.toContain('firing')
})

test('a page that no route matches is shown in every channel', async () => {
  const of = using({ routes: [{ tags: ['MAN'], channels: ['shift'] }] })
  await of.raise(bad('LNGS', 1), full('A'))
  await show(of)
  expect([inShift(), inExperts()]).toEqual([
    ['firing: checksum-mismatch, run 1 of LNGS'],
    ['firing: checksum-mismatch, run 1 of LNGS'],
  ])
})

test('a page that was silenced escalates from when it could be seen', async () => {
  const of = using({ escalation })
  const label = { name: 'run', value: '1', isRegex: false, isEqual: true }
  await silence(of, { ...silenceOf('', 60), matchers: [label] })
  await of.raise(bad('LNGS', 1))
  await minute(of, 61)
  expect(inShift()).toHaveLength(1)
  await minute(of, 9)
  expect(inExperts()).toEqual([])
  await minute(of, 1)
  expect(inExperts()).toHaveLength(1)
})

test('a page that ended, or is silenced, is not escalated', async () => {
  const of = using({ escalation })
  await of.raise(bad('LNGS', 1), bad('LNGS', 2))
  await show(of)
  await silence(of, {
    ...silenceOf('', 60),
    matchers: [{ name: 'run', value: '1', isRegex: false, isEqual: true }],
  })
  const ended = {
    rule: 'checksum-mismatch',
    severity: 'page',
    run: { id: null, tag: 'LNGS', runNumber: 2 },
    summary: 'replaced by a good file',
  } as const
  await of.raise(resolved(ended))
  await minute(of, 30)
  expect(inExperts()).toEqual([])
})

test('an alert is sent although its picture cannot be read', async () => {
  const of = using()
  await of.raise(
    alert({
      rule: 'store-is-full',
      severity: 'error',
      summary: 'with a picture',
      attachment: { bucket: 'no-such-bucket', key: 'x.png', contentType: 'image/png' },
    }),
  )
  await show(of)
  expect(shift?.messages().map(({ attachment }) => attachment)).toEqual([null])
})

test('nothing is sent, and everything is recorded, where no channel is configured', async () => {
  const of = context.with([])
  await of.raise(full('A'))
  await minute(of)
  expect(await idOf('A')).toBeGreaterThan(0)
  expect(await of.database.selectFrom('alertPosts').selectAll().execute()).toEqual([])
})
