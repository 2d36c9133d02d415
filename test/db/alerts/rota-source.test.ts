/** The rota is read now and then, and the last good one serves while its source fails, which is an alert. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NOBODY } from '../../../shared/alerts/rota.ts'
import { createRota } from '../../../shared/alerts/rota-source.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { createLogger } from '../../../shared/log.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'
import { signal } from '../../support/context.ts'
import { startHttpServer, type TestServer } from '../../support/http-server.ts'

const calendar = (title: string) =>
  [
    ...['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:x', 'BEGIN:VEVENT', 'UID:1', `SUMMARY:${title}`],
    ...['DTSTART:20261201T000000Z', 'DTEND:20261220T000000Z', 'END:VEVENT', 'END:VCALENDAR'],
  ].join('\r\n')
const ANNA = { first: 'Anna', second: null }

let catalogue: TestCatalogue
let server: TestServer
let answer: (response: ServerResponse, request: IncomingMessage) => unknown
let requests: number
let time: number

beforeAll(async () => {
  catalogue = await startTestCatalogue()
  server = await startHttpServer((request, response) => {
    requests++
    answer(response, request)
  })
})
afterAll(async () => {
  await server?.close()
  await catalogue?.close()
})
beforeEach(async () => {
  requests = 0
  time = Date.parse('2026-12-01T12:00:00Z')
  answer = (response) => response.end(calendar('Shift: Anna'))
  for (const table of ['outbox', 'alerts'] as const) await catalogue.database.deleteFrom(table).execute()
})

const rotaOf = (url: string | undefined) =>
  createRota({
    config: loadConfig({ CYGNET_DATABASE_URL: catalogue.url, CYGNET_ROTA_URL: url }),
    database: catalogue.database,
    log: createLogger({ function: 'test', level: 'silent' }),
    now: () => new Date(time),
    owner: 'test',
  })
const open = () => rotaOf(`${server.origin}/secret/shifts.ics`)
const written = async () =>
  (await catalogue.database.selectFrom('outbox').select('body').orderBy('id').execute()).map(
    ({ body }) => JSON.parse(body) as { kind: string; rule: string; summary: string },
  )
const minutes = (count: number) => {
  time += count * 60_000
}

describe('who is on shift', () => {
  it('is nobody where no rota is configured', async () => {
    expect(await rotaOf(undefined)(signal)).toEqual(NOBODY)
    expect(await written()).toEqual([])
  })

  it('is read from the calendar, at most once in five minutes', async () => {
    const rota = open()
    for (let minute = 0; minute < 5; minute++) {
      expect(await rota(signal)).toEqual(ANNA)
      minutes(1)
    }
    expect(requests).toBe(1)
    answer = (response) => response.end(calendar('Shift: Bob'))
    expect(await rota(signal)).toEqual({ first: 'Bob', second: null })
    expect(await written()).toEqual([])
  })

  it('is still known when the source fails, for days, and its age is stated once an hour', async () => {
    const rota = open()
    await rota(signal)
    answer = (response) => response.writeHead(503).end()
    for (let minute = 0; minute < 180; minute += 10) {
      minutes(10)
      expect(await rota(signal)).toEqual(ANNA)
    }
    const alerts = await written()
    expect(alerts).toHaveLength(4)
    expect(alerts.at(-1)).toMatchObject({
      ...{ kind: 'raise', rule: 'rota-fails' },
      summary:
        'the rota (CYGNET_ROTA_URL) cannot be read: its server answers with status 503; the rota of 2026-12-01T12:00:00.000Z, 3 hours ago, is used',
    })
    minutes(10 * 24 * 60)
    expect(await rota(signal)).toEqual(ANNA)
  })

  it('is nobody when the source fails from the beginning, until it works; then the alert ends', async () => {
    answer = (response) => response.writeHead(403).end()
    const rota = open()
    expect(await rota(signal)).toEqual(NOBODY)
    const [raised] = await written()
    expect(raised?.summary).toMatch(/status 403; nobody is known to be on shift$/)
    const { kind: _, ...body } = raised as unknown as Record<string, string>
    const times = { since: new Date(time), lastSeen: new Date(time) }
    await catalogue.database
      .insertInto('alerts')
      .values({
        ...{ fingerprint: body.fingerprint ?? '', rule: 'rota-fails', severity: 'warning', labels: '{}' },
        ...{ subject: '', tag: null, runNumber: null, runId: null, bucket: null, objectKey: null },
        ...{ summary: '', facts: '{}', ...times },
      })
      .execute()
    answer = (response) => response.end(calendar('Shift: Anna'))
    expect(await rota(signal)).toEqual(NOBODY)
    minutes(1)
    expect(await rota(signal)).toEqual(ANNA)
    expect((await written()).at(-1)).toMatchObject({
      ...{ kind: 'resolve', rule: 'rota-fails', fingerprint: body.fingerprint },
    })
    // A new failure in the same hour is a new alert.
    minutes(5)
    answer = (response) => response.writeHead(403).end()
    await rota(signal)
    expect((await written()).filter(({ kind }) => kind === 'raise')).toHaveLength(2)
  })

  it.each<[string, (response: ServerResponse) => unknown, RegExp]>([
    ['a page', (response) => response.end('<html>sign in</html>'), /it is not an iCalendar/],
    [
      'a calendar of other things',
      (response) => response.end(calendar('Meeting')),
      /no event .* names a shift/,
    ],
    ['nothing', (response) => response.destroy(), /its server cannot be reached \(UND_ERR_SOCKET\)/],
    [
      'an endless text',
      (response) => {
        const more = () => {
          while (response.write('x'.repeat(65_536)));
        }
        response.on('drain', more)
        more()
      },
      /more than 10 MB/,
    ],
  ])('is an alert without the address when the source gives %s', async (_, given, sentence) => {
    const rota = open()
    answer = given
    expect(await rota(signal)).toEqual(NOBODY)
    const [raised] = await written()
    expect(raised?.summary).toMatch(sentence)
    expect(JSON.stringify(raised)).not.toContain('secret')
  })

  it('names an event that cannot be read, and has the others', async () => {
    const bad = [
      ...['BEGIN:VEVENT', 'UID:2', 'SUMMARY:Shift: X', 'DTSTART:20261101T000000Z'],
      ...['RRULE:FREQ=DAILY;BYDAY=MO;BYMONTHDAY=31;BYMONTH=2', 'END:VEVENT', 'END:VCALENDAR'],
    ].join('\r\n')
    answer = (response) => response.end(calendar('Shift: Anna').replace('END:VCALENDAR', bad))
    expect(await open()(signal)).toEqual(ANNA)
    expect((await written())[0]?.summary).toMatch(/is not complete: the event "Shift: X" cannot be read/)
  })
})
