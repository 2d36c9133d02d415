/** Who is on shift, from a calendar: titles, overlaps, gaps, time zones, repetitions, and what is no calendar. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NOBODY, namesIn, type OnShift, onShift, readRota } from '../../../shared/alerts/rota.ts'

const calendar = (...parts: readonly string[]) =>
  ['BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//test//EN', ...parts, 'END:VCALENDAR', ''].join('\r\n')
let count = 0
const event = (title: string, ...lines: readonly string[]) => {
  const uid = lines.some((line) => line.startsWith('UID:')) ? [] : [`UID:${++count}`]
  return ['BEGIN:VEVENT', ...uid, `SUMMARY:${title}`, ...lines, 'END:VEVENT'].join('\r\n')
}
const utc = (title: string, from: string, to: string, ...lines: readonly string[]) =>
  event(title, `DTSTART:${from}`, `DTEND:${to}`, ...lines)

/** Who is on shift at a time, as a process that reads the calendar at that time finds it. */
function at(text: string, time: string): OnShift {
  const now = Date.parse(time)
  const { shifts, problems } = readRota(text, new Date(now - 86_400_000), new Date(now + 14 * 86_400_000))
  expect(problems).toEqual([])
  return onShift(shifts, new Date(now))
}
const first = (name: string, second: string | null = null): OnShift => ({ first: name, second })

describe('the title of an event', () => {
  it.each<[string, OnShift | null]>([
    ['Shift: Anna Rossi / Bob Smith', first('Anna Rossi', 'Bob Smith')],
    ['Shift:Anna Rossi', first('Anna Rossi')],
    ['SHIFTERS: Anna Rossi, Bob Smith', first('Anna Rossi', 'Bob Smith')],
    ['Shifter: Rossi, Anna / Smith, Bob', first('Rossi, Anna', 'Smith, Bob')],
    ['Night shift 22:00-06:00: Anna Rossi & Bob Smith', first('Anna Rossi', 'Bob Smith')],
    ['On call: Anna  Rossi', first('Anna Rossi')],
    ['First: Anna Rossi', first('Anna Rossi')],
    ['1st shifter - Anna Rossi-Bianchi', first('Anna Rossi-Bianchi')],
    ['Anna Rossi / Bob Smith (shift)', first('Anna Rossi', 'Bob Smith')],
    ['Second: Bob Smith', { first: null, second: 'Bob Smith' }],
    ['second shifter: Bob Smith', { first: null, second: 'Bob Smith' }],
    ['Backup – Bob Smith', { first: null, second: 'Bob Smith' }],
    ['Bob Smith (2nd)', { first: null, second: 'Bob Smith' }],
    ['Shift: 白川 / Zoë Ångström', first('白川', 'Zoë Ångström')],
    ['Collaboration meeting', null],
    ['Shift', null],
    ['Shift:', null],
    ['Shift: / ', null],
    ['Meeting: Anna Rossi', null],
    ['Shiftless: Anna', null],
    ['', null],
  ])('%j', (title, expected) => {
    expect(namesIn(title)).toEqual(expected)
  })

  it('names whom docs/deploy/alerts.md says that it names', () => {
    const page = readFileSync(new URL('../../../docs/deploy/alerts.md', import.meta.url), 'utf8')
    const rows = [...page.matchAll(/^\| `(.*?)` \| (.*?) ?\| ?(.*?) ?\|$/gm)]
      .filter(([line]) => /Anna|Smith|meeting/.test(line))
      .map(([, title = '', one = '', other = '']) => ({ title, one, other }))
    expect(rows).toHaveLength(7)
    for (const { title, one, other } of rows)
      expect(namesIn(title), title).toEqual(
        one === 'no shift' ? null : { first: one || null, second: other || null },
      )
  })

  it('of any form is read in linear time', () => {
    for (const part of ['(', ')', ' - ', ':', ': 1', 'shift ', '/', ' '])
      expect(() => namesIn(part.repeat(50_000))).not.toThrow()
  })
})

describe('who is on shift', () => {
  it('is who the event at that time names, from its begin until before its end', () => {
    const text = calendar(
      utc('Shift: A / B', '20261201T060000Z', '20261201T140000Z'),
      utc('Shift: C', '20261201T140000Z', '20261201T220000Z'),
      utc('Meeting', '20261201T060000Z', '20261201T220000Z'),
    )
    expect(at(text, '2026-12-01T05:59:59Z')).toEqual(NOBODY)
    expect(at(text, '2026-12-01T06:00:00Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-12-01T13:59:59Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-12-01T14:00:00Z')).toEqual(first('C'))
    expect(at(text, '2026-12-01T22:00:00Z')).toEqual(NOBODY)
  })

  it('is named by two events, too', () => {
    const text = calendar(
      utc('Second: B', '20261201T000000Z', '20261202T000000Z'),
      utc('First: A', '20261201T060000Z', '20261201T140000Z'),
    )
    expect(at(text, '2026-12-01T07:00:00Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-12-01T15:00:00Z')).toEqual({ first: null, second: 'B' })
  })

  it('at a handover is the new person, and the old one is second', () => {
    const text = calendar(
      utc('Shift: A', '20261201T060000Z', '20261201T143000Z'),
      utc('Shift: B', '20261201T140000Z', '20261201T223000Z'),
    )
    expect(at(text, '2026-12-01T14:15:00Z')).toEqual(first('B', 'A'))
    const twice = calendar(utc('Shift: A / A', '20261201T060000Z', '20261201T140000Z'))
    expect(at(twice, '2026-12-01T07:00:00Z')).toEqual(first('A'))
  })

  it('is not who was in an event that was cancelled', () => {
    const text = calendar(utc('Shift: A', '20261201T060000Z', '20261201T140000Z', 'STATUS:CANCELLED'))
    expect(at(text, '2026-12-01T07:00:00Z')).toEqual(NOBODY)
  })

  it('for all of a day, by the clock of the experiment', () => {
    const text = calendar(event('Shift: A', 'DTSTART;VALUE=DATE:20260701', 'DTEND;VALUE=DATE:20260703'))
    expect(at(text, '2026-06-30T21:59:59Z')).toEqual(NOBODY)
    expect(at(text, '2026-06-30T22:00:00Z')).toEqual(first('A'))
    expect(at(text, '2026-07-02T21:59:59Z')).toEqual(first('A'))
    expect(at(text, '2026-07-02T22:00:00Z')).toEqual(NOBODY)
    const oneDay = calendar(event('Shift: A', 'DTSTART;VALUE=DATE:20260701'))
    expect(at(oneDay, '2026-07-01T21:59:59Z')).toEqual(first('A'))
    expect(at(oneDay, '2026-07-01T22:00:00Z')).toEqual(NOBODY)
  })

  it.each([
    ['named', '', ';TZID=Europe/Rome'],
    ['of no zone', '', ''],
    [
      'defined by the calendar',
      [
        ...['BEGIN:VTIMEZONE', 'TZID:W. Europe Standard Time', 'BEGIN:STANDARD', 'DTSTART:16010101T030000'],
        ...['TZOFFSETFROM:+0200', 'TZOFFSETTO:+0100', 'RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10'],
        ...['END:STANDARD', 'BEGIN:DAYLIGHT', 'DTSTART:16010101T020000', 'TZOFFSETFROM:+0100'],
        ...['TZOFFSETTO:+0200', 'RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3', 'END:DAYLIGHT', 'END:VTIMEZONE'],
      ].join('\r\n'),
      ';TZID=W. Europe Standard Time',
    ],
  ])('keeps to local time over the changes of the clock (zone %s)', (_, definition, zone) => {
    const nightly = [`DTSTART${zone}:20260101T220000`, `DTEND${zone}:20260102T060000`, 'RRULE:FREQ=DAILY']
    const text = calendar(...(definition === '' ? [] : [definition]), event('Shift: A', ...nightly))
    for (const [time, isOn] of [
      ['2026-02-01T21:00:00Z', true],
      ['2026-02-02T04:59:59Z', true],
      ['2026-02-02T05:00:00Z', false],
      ['2026-07-01T20:00:00Z', true],
      ['2026-07-01T19:59:59Z', false],
      ['2026-07-02T04:00:00Z', false],
      // The nights in which clocks change: 29 March and 25 October 2026.
      ['2026-03-29T03:59:59Z', true],
      ['2026-03-29T04:00:00Z', false],
      ['2026-10-25T04:59:59Z', true],
      ['2026-10-25T05:00:00Z', false],
    ] as const)
      expect([time, at(text, time).first]).toEqual([time, isOn ? 'A' : null])
  })

  it('begins in an hour that is skipped or repeated at the time that RFC 5545 states', () => {
    const starting = (local: string) =>
      calendar(event('Shift: A', `DTSTART;TZID=Europe/Rome:${local}`, 'DURATION:PT8H'))
    expect(at(starting('20260329T023000'), '2026-03-29T01:29:59Z')).toEqual(NOBODY)
    expect(at(starting('20260329T023000'), '2026-03-29T01:30:00Z')).toEqual(first('A'))
    expect(at(starting('20261025T023000'), '2026-10-25T00:29:59Z')).toEqual(NOBODY)
    expect(at(starting('20261025T023000'), '2026-10-25T00:30:00Z')).toEqual(first('A'))
  })

  it('may end in another time zone than it began', () => {
    const lines = ['DTSTART;TZID=Europe/Rome:20260701T080000', 'DTEND;TZID=America/New_York:20260701T080000']
    expect(at(calendar(event('Shift: A', ...lines)), '2026-07-01T11:59:59Z')).toEqual(first('A'))
    expect(at(calendar(event('Shift: A', ...lines)), '2026-07-01T12:00:00Z')).toEqual(NOBODY)
  })

  it('follows repetitions, with what was left out, moved or given to another', () => {
    const zone = ';TZID=Europe/Rome'
    const weekly = [`DTSTART${zone}:20261102T080000`, `DTEND${zone}:20261102T160000`]
    const text = calendar(
      event(
        'Shift: A / B',
        'UID:w',
        ...weekly,
        'RRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20261216T235959Z',
        `EXDATE${zone}:20261109T080000`,
      ),
      event(
        ...['Shift: C', 'UID:w', `RECURRENCE-ID${zone}:20261116T080000`],
        ...[`DTSTART${zone}:20261117T100000`, `DTEND${zone}:20261117T120000`],
      ),
      event(
        ...['Shift: A / B', 'UID:w', `RECURRENCE-ID${zone}:20261118T080000`, 'STATUS:CANCELLED'],
        ...[`DTSTART${zone}:20261118T080000`, `DTEND${zone}:20261118T160000`],
      ),
    )
    expect(at(text, '2026-11-02T08:00:00Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-11-04T08:00:00Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-11-03T08:00:00Z')).toEqual(NOBODY)
    expect(at(text, '2026-11-09T08:00:00Z')).toEqual(NOBODY)
    expect(at(text, '2026-11-16T08:00:00Z')).toEqual(NOBODY)
    expect(at(text, '2026-11-17T10:00:00Z')).toEqual(first('C'))
    expect(at(text, '2026-11-18T08:00:00Z')).toEqual(NOBODY)
    expect(at(text, '2026-12-16T08:00:00Z')).toEqual(first('A', 'B'))
    expect(at(text, '2026-12-21T08:00:00Z')).toEqual(NOBODY)
  })

  it('knows an event that is given without what it is an exception of', () => {
    const text = calendar(
      event(
        'Shift: A',
        'UID:x',
        'RECURRENCE-ID:20261201T060000Z',
        'DTSTART:20261201T070000Z',
        'DURATION:PT8H',
      ),
    )
    expect(at(text, '2026-12-01T08:00:00Z')).toEqual(first('A'))
  })
})

describe('a calendar', () => {
  const from = new Date('2026-11-30T00:00:00Z')
  const to = new Date('2026-12-14T00:00:00Z')
  const good = utc('Shift: A', '20261201T060000Z', '20261201T140000Z')

  it.each([
    ['', 'it is not an iCalendar'],
    ['<!doctype html><title>Sign in</title>', 'it is not an iCalendar'],
    ['{"events": []}', 'it is not an iCalendar'],
    [
      calendar(utc('Shift: A', '20261201T060000Z', '20261201T140000Z', 'RRULE:FREQ=WEEKLY;BYDAY=XX')),
      'BYDAY',
    ],
    [calendar(), 'no event of the calendar names a shift'],
    [calendar(utc('Meeting', '20261201T060000Z', '20261201T140000Z')), 'no event of the calendar names'],
  ])('that is none, or of something else, is refused (%#)', (text, sentence) => {
    expect(() => readRota(text, from, to)).toThrow(sentence)
  })

  it('is one also when its shifts are long ago', () => {
    const text = calendar(utc('Shift: A', '20200101T060000Z', '20200101T140000Z'))
    expect(readRota(text, from, to)).toEqual({ shifts: [], problems: [] })
  })

  it('may begin with a byte order mark, be several, and have other line ends', () => {
    const second = calendar(utc('Shift: B', '20261201T140000Z', '20261201T220000Z'))
    const text = `\ufeff${calendar(good)}${second}`.replaceAll('\r\n', '\n')
    expect(at(text, '2026-12-01T07:00:00Z')).toEqual(first('A'))
    expect(at(text, '2026-12-01T15:00:00Z')).toEqual(first('B'))
  })

  it.each([
    ['a rule without an end of its search', ['RRULE:FREQ=DAILY;BYDAY=MO;BYMONTHDAY=31;BYMONTH=2']],
    ['a rule with an enormous interval', ['RRULE:FREQ=WEEKLY;INTERVAL=99999999']],
  ])('with %s names the event, and has the others', (_, lines) => {
    const bad = utc('Shift: X', '20261101T060000Z', '20261101T140000Z', ...lines)
    const { shifts, problems } = readRota(calendar(bad, good), from, to)
    expect(problems).toEqual([expect.stringContaining('the event "Shift: X" cannot be read: ')])
    expect(onShift(shifts, new Date('2026-12-01T07:00:00Z'))).toEqual(first('A'))
  })

  it('of 5 MB is read', () => {
    const filler = `DESCRIPTION:${'x'.repeat(420)}`
    const many = Array.from({ length: 10_000 }, (_, index) => {
      const start = new Date(Date.UTC(2018, 0, 1) + index * 8 * 3_600_000)
      const stamp = (date: Date) => date.toISOString().replace(/[-:]|\.\d+/g, '')
      const end = new Date(start.getTime() + 8 * 3_600_000)
      return utc(`Shift: P${index} / Q${index}`, stamp(start), stamp(end), filler)
    })
    const text = calendar(...many)
    expect(text.length).toBeGreaterThan(5_000_000)
    const { shifts } = readRota(text, new Date('2026-12-01T00:00:00Z'), new Date('2026-12-15T00:00:00Z'))
    expect(shifts).toHaveLength(42)
  })

  it('of any garbage is read or refused with a sentence', () => {
    const lines = good.split('\r\n')
    const line = fc.oneof(
      fc.constantFrom(
        ...lines,
        'BEGIN:VEVENT',
        'END:VEVENT',
        'BEGIN:VTIMEZONE',
        'RRULE:',
        'RRULE:FREQ=DAILY',
      ),
      fc.constantFrom('DTSTART:', 'DTSTART:garbage', 'DTEND;TZID=Nowhere:20261201T1', 'RDATE:x', 'EXDATE:'),
      fc.constantFrom('DURATION:P', 'SUMMARY', 'RECURRENCE-ID:20261201T060000Z', ':', ';', ' ', 'X-A;B="c'),
      fc.string({ maxLength: 30 }),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 25 }), (garbage) => {
        try {
          readRota(calendar(...garbage), from, to)
        } catch (error) {
          expect((error as Error).name).toBe('InvalidInputError')
        }
      }),
      { numRuns: 300 },
    )
  })
})
