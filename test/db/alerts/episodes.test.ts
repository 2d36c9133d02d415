/** Requests for alerts become episodes: once each, in their order, whatever happens to the functions. */
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { acknowledge } from '../../../shared/alerts/acknowledge.ts'
import { foldAlerts } from '../../../shared/alerts/episodes.ts'
import { encodeRequest, type Request } from '../../../shared/messages/requests.ts'
import { alert, resolved } from '../../../shared/work/raise-alert.ts'
import { type AlertContext, createTestClock, startAlertContext } from '../../support/alerts/alert-context.ts'

const clock = createTestClock()
let context: AlertContext
beforeAll(async () => {
  context = await startAlertContext(clock)
})
afterAll(() => context?.close())
beforeEach(() => context.clear())

const about = (subject: string) =>
  ({ rule: 'store-is-full', severity: 'error', subject, summary: `the store ${subject} is full` }) as const
const full = (subject: string): Request => alert(about(subject))
const over = (subject: string): Request => resolved(about(subject))

/** Waits between messages: each has its own time. */
async function write(...requests: readonly Request[]) {
  for (const request of requests) {
    clock.advance(1000)
    await context.raise(request)
  }
}

/** A request as another transaction wrote it, whose place in the order was taken before. */
async function writeAs(id: number, request: Request) {
  const { name, queue, runId } = request
  const row = { id, name, queue, runId, body: encodeRequest(request), createdAt: clock.now() }
  await context.database.insertInto('outbox').values(row).execute()
}

const nextId = async () => {
  await context.raise(over('marks the present end of the outbox'))
  const { id } = await context.database
    .selectFrom('outbox')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  return id + 100
}

const episodes = async () => {
  const rows = await context.database.selectFrom('alerts').selectAll().orderBy('id').execute()
  return rows.map(
    ({ subject, count, resolvedAt }) => `${subject} ×${count}${resolvedAt === null ? '' : ' over'}`,
  )
}

test('a condition that is found again is the same episode, and a new one after its end', async () => {
  await write(full('A'), full('A'), full('B'), over('A'), full('A'))
  await foldAlerts(context)
  await write(full('A'), over('B'))
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×2 over', 'B ×1 over', 'A ×2'])
})

test('an end without an open episode changes nothing', async () => {
  await write(over('A'), full('A'), over('B'))
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×1'])
})

test('an episode has the time of its first and last alert, and what the last one states', async () => {
  await write(full('A'))
  const since = clock.now()
  await foldAlerts(context)
  await write({ ...alert({ ...about('A'), facts: { 'free, GB': 7 }, summary: 'nearly full' }) })
  await foldAlerts(context)
  const [episode] = await context.database.selectFrom('alerts').selectAll().execute()
  expect(episode).toMatchObject({
    since,
    lastSeen: clock.now(),
    summary: 'nearly full',
    facts: { 'free, GB': 7 },
    labels: { alertname: 'store-is-full', subject: 'A' },
  })
})

test('the severity of an episode rises, and never falls while it fires', async () => {
  const gone = (severity: 'error' | 'page') =>
    alert({ rule: 'tape-source-gone', severity, subject: 'A', summary: `${severity}: the source is missing` })
  const severity = async () => {
    await foldAlerts(context)
    return (await context.database.selectFrom('alerts').select('severity').executeTakeFirstOrThrow()).severity
  }
  await write(gone('error'))
  expect(await severity()).toBe('error')
  await write(gone('page'))
  expect(await severity()).toBe('page')
  await write(gone('error'))
  expect(await severity()).toBe('page')
})

test('information is over when it is reported', async () => {
  await write(alert({ rule: 'history-found', severity: 'info', tag: 'LNGS', summary: 'history was found' }))
  await foldAlerts(context)
  await write(alert({ rule: 'history-found', severity: 'info', tag: 'LNGS', summary: 'history was found' }))
  await foldAlerts(context)
  expect(await episodes()).toEqual([' ×1 over', ' ×1 over'])
})

test('an alert that was committed after the end of its condition does not begin an episode', async () => {
  const id = await nextId()
  await writeAs(id + 1, over('A'))
  await foldAlerts(context)
  await writeAs(id, full('A'))
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×1 over'])
})

test('an alert that was committed late counts in the episode that has ended since', async () => {
  const id = await nextId()
  await writeAs(id, full('A'))
  await writeAs(id + 2, over('A'))
  await foldAlerts(context)
  await writeAs(id + 1, full('A'))
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×2 over'])
})

test('an end that was committed after a later alert does not end its episode', async () => {
  const id = await nextId()
  await writeAs(id + 1, full('A'))
  await foldAlerts(context)
  await writeAs(id, over('A'))
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×1'])
})

test.each([
  ['no JSON', '{'],
  ['of another form', '{"rule": 7}'],
  ['a list', '[]'],
])('a request that cannot be read is an alert of its own and holds up no other: %s', async (_, body) => {
  await write(full('A'))
  const row = {
    name: 'alert:from a newer version',
    queue: 'alerts',
    runId: null,
    body,
    createdAt: clock.now(),
  }
  await context.database.insertInto('outbox').values(row).execute()
  await write(full('B'))
  await foldAlerts(context)
  const rows = await context.database.selectFrom('alerts').selectAll().orderBy('id').execute()
  expect(rows.map(({ rule }) => rule)).toEqual(['store-is-full', 'unreadable-alert', 'store-is-full'])
  expect(rows[1]?.summary).toContain('alert:from a newer version')
  expect(rows[1]?.severity).toBe('error')
})

test('an alert with any text is folded', async () => {
  const text = `\ud800 \0 \uffff ${'ß'.repeat(6000)}`
  await write(
    alert({
      ...about(text),
      run: { id: null, tag: text, runNumber: 2 ** 40 },
      object: { bucket: text, key: text },
      summary: text,
      facts: { [text]: text },
      attachment: { bucket: text, key: text, contentType: text },
    }),
    full('B'),
  )
  await foldAlerts(context)
  const rows = await context.database.selectFrom('alerts').select('subject').orderBy('id').execute()
  expect(rows).toHaveLength(2)
  expect(rows[1]?.subject).toBe('B')
})

test('an alert that the database refuses is an alert that cannot be read, and holds up no other', async () => {
  const constraint = (change: string) => sql`ALTER TABLE alerts ${sql.raw(change)}`.execute(context.database)
  await constraint("ADD CONSTRAINT refused CHECK (subject <> 'refused')")
  try {
    await write(full('A'), full('refused'), full('B'))
    await foldAlerts(context)
  } finally {
    await constraint('DROP CONSTRAINT refused')
  }
  const rows = await context.database.selectFrom('alerts').selectAll().orderBy('id').execute()
  expect(rows.map(({ rule }) => rule)).toEqual(['store-is-full', 'unreadable-alert', 'store-is-full'])
  expect(rows[1]?.summary).toContain('the store refused is full')
})

test('several functions that fold at once make the same episodes as one', async () => {
  const kinds = [full, full, over]
  const story = Array.from({ length: 400 }, (_, index) => {
    const make = kinds[(index * 7919) % 3] ?? full
    return make(`S${(index * 104_729) % 5}`)
  })
  const expected = new Map<string, string[]>()
  for (const { name, body } of story) {
    const { subject } = body as { readonly subject: string }
    const counts = expected.get(subject) ?? []
    expected.set(subject, counts)
    const last = counts.at(-1)
    const isOpen = last !== undefined && !last.endsWith('over')
    if (name.startsWith('alert:')) {
      if (isOpen) counts[counts.length - 1] = `${Number(last) + 1}`
      else counts.push('1')
    } else if (isOpen) counts[counts.length - 1] = `${last} over`
  }
  for (let start = 0; start < story.length; start += 40) {
    await Promise.all([
      context.raise(...story.slice(start, start + 40)),
      ...Array.from({ length: 4 }, () => foldAlerts(context)),
    ])
  }
  await foldAlerts(context)
  const rows = await context.database.selectFrom('alerts').selectAll().orderBy('id').execute()
  const found = Map.groupBy(rows, ({ subject }) => subject)
  for (const [subject, counts] of expected)
    expect([
      subject,
      ...(found.get(subject) ?? []).map(
        ({ count, resolvedAt }) => `${count}${resolvedAt === null ? '' : ' over'}`,
      ),
    ]).toEqual([subject, ...counts])
})

test('a function that dies while it folds has changed nothing, and the next one folds everything once', async () => {
  await write(full('A'), full('A'), full('B'))
  let calls = 0
  const dying = {
    ...context,
    // Asked after the episodes were computed, and before anything is committed.
    now() {
      calls += 1
      throw new Error('the function dies')
    },
  }
  await expect(foldAlerts(dying)).rejects.toThrow('the function dies')
  expect(calls).toBe(1)
  expect(await episodes()).toEqual([])
  await foldAlerts(context)
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×2', 'B ×1'])
})

test('a function returns at once while another one folds, which folds its requests too', async () => {
  await write(full('A'))
  const gate = Promise.withResolvers<void>()
  const held = context.database.transaction().execute(async (trx) => {
    await trx.selectFrom('alertFolding').selectAll().forUpdate().execute()
    await gate.promise
  })
  await expect.poll(() => foldAlerts(context)).toEqual({ folded: 0 })
  gate.resolve()
  await held
  expect(await foldAlerts(context)).toEqual({ folded: 1 })
})

test('an alert whose end no rule can see ends when a person acknowledges it', async () => {
  const parked = () =>
    alert({ rule: 'parked-notification', severity: 'warning', subject: 'A', summary: 'it was kept' })
  await write(parked())
  await foldAlerts(context)
  const { id } = await context.database.selectFrom('alerts').select('id').executeTakeFirstOrThrow()
  const acknowledged = await acknowledge(context, id, 'anna', 'I am moving files')
  expect(acknowledged).toMatchObject({
    acknowledgedBy: 'anna',
    acknowledgedAt: clock.now(),
    comment: 'I am moving files',
    resolvedBy: 'anna',
    resolvedAt: clock.now(),
  })
  expect(await acknowledge(context, id, 'bob', 'me too')).toBeNull()
  await write(parked())
  await foldAlerts(context)
  expect(await episodes()).toEqual(['A ×1 over', 'A ×1'])
})
