/** CYGNET_ALERTS: what is wrong is named with its place, and no secret of it is shown. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../shared/config/config.ts'

const DATABASE = { CYGNET_DATABASE_URL: 'mysql://cygnet:x@127.0.0.1:3306/cygnet' }
const load = (text: string) => loadConfig({ ...DATABASE, CYGNET_ALERTS: text }).alerts.channels

const GOOD = {
  channels: {
    'shift-lngs': { type: 'discord', channelId: '123456789012345678' },
    phone: { type: 'webhook', url: 'https://phone.example.org/alerts', token: 'hunter2' },
  },
  routes: [{ channels: ['shift-lngs'] }, { severities: ['page'], tags: ['LNGS'], channels: ['phone'] }],
  escalation: { channel: 'shift-lngs', roleId: '223456789012345678', people: { Anna: '323456789012345678' } },
}

describe('CYGNET_ALERTS', () => {
  it('may be absent, or state channels, routes and escalation', () => {
    expect(loadConfig(DATABASE).alerts.channels).toBeUndefined()
    expect(load(JSON.stringify(GOOD))).toEqual({
      ...GOOD,
      escalation: { ...GOOD.escalation, minutes: 10 },
    })
  })

  it('is accepted as docs/deploy/alerts.md shows it', () => {
    const page = readFileSync(new URL('../../../docs/deploy/alerts.md', import.meta.url), 'utf8')
    const [, example = ''] = /```json\n(.*?)```/s.exec(page) ?? []
    expect(load(example)).toEqual(JSON.parse(example))
  })

  const { phone } = GOOD.channels
  const withChannel = (channel: object) => ({ ...GOOD, channels: { ...GOOD.channels, x: channel } })
  it.each<[string, unknown]>([
    [
      'routes[1].channels: there is no channel "fone"',
      { ...GOOD, routes: [GOOD.routes[0], { channels: ['fone'] }] },
    ],
    [
      'routes[0].channels: there is no channel "constructor"',
      { ...GOOD, routes: [{ channels: ['constructor'] }] },
    ],
    ['routes: Too small: expected array to have >=1 items', { ...GOOD, routes: [] }],
    ['routes: Invalid input: expected array, received undefined', { channels: GOOD.channels }],
    ['routes[0].channels: Too small', { ...GOOD, routes: [{ channels: [] }] }],
    [
      'routes[0].severities[0]: Invalid option: expected one of "info"',
      { ...GOOD, routes: [{ ...GOOD.routes[0], severities: ['critical'] }] },
    ],
    [
      'routes[0]: Unrecognized key: "channel"',
      { ...GOOD, routes: [{ ...GOOD.routes[0], channel: 'phone' }] },
    ],
    ['routes[0].tags: Too small', { ...GOOD, routes: [{ ...GOOD.routes[0], tags: [] }] }],
    [
      'channels.x.channelId: expected the id of a channel of Discord, in quotes',
      withChannel({ type: 'discord', channelId: Number('123456789012345678') }),
    ],
    [
      'channels.x.channelId: expected the id of a channel of Discord',
      withChannel({ type: 'discord', channelId: '#shift' }),
    ],
    ['channels.x.url: expected an address that begins with', withChannel({ ...phone, url: 'ftp://hunter2' })],
    ['channels.x.type: expected "discord" or "webhook"', withChannel({ type: 'slack' })],
    ['channels.x: Unrecognized key: "urll"', withChannel({ ...phone, urll: 'hunter2' })],
    [
      'channels.Shift LNGS: expected names like shift-lngs',
      { ...GOOD, channels: { ...GOOD.channels, 'Shift LNGS': phone } },
    ],
    [
      'escalation.channel: there is no channel "x"',
      { ...GOOD, escalation: { ...GOOD.escalation, channel: 'x' } },
    ],
    ['escalation.minutes: Too small', { ...GOOD, escalation: { ...GOOD.escalation, minutes: 0 } }],
    [
      'escalation.people.Bob: expected the id of a user of Discord',
      { ...GOOD, escalation: { ...GOOD.escalation, people: { Bob: '@bob' } } },
    ],
    ['escalation: expected a roleId, or people', { ...GOOD, escalation: { channel: 'phone' } }],
    ['Invalid input: expected object, received array', []],
    ['Invalid input: expected object, received string', 'hunter2'],
  ])('is refused: %s', (sentence, given) => {
    const wrong = () => load(JSON.stringify(given))
    expect(wrong).toThrow(`configuration: CYGNET_ALERTS: ${sentence}`)
    expect(wrong).not.toThrow(/hunter2/)
  })

  it.each([
    ['{"channels": {"a": {"token": "hunter2" "url"', ' at position 39 (line 1 column 40)'],
    ['hunter2', ''],
    ['{"token":"hunter2"', ' at position'],
    ["{'token': 'hunter2'}", ' at position 1'],
  ])('that is not JSON is refused without its text (%#)', (text, place) => {
    expect(() => load(text)).toThrow(`CYGNET_ALERTS: it is not JSON${place && `: see the text${place}`}`)
    expect(() => load(text)).not.toThrow(/hunter2/)
  })
})

describe('CYGNET_ROTA_URL', () => {
  it('is an address that a calendar can be read from', () => {
    for (const url of ['https://x.example.org/a.ics', 'webcal://x.example.org/a', 'http://127.0.0.1:1/'])
      expect(loadConfig({ ...DATABASE, CYGNET_ROTA_URL: url }).alerts.rota).toBe(url)
    for (const url of ['file:///etc/passwd', 'rota.ics', 'ftp://x/a.ics'])
      expect(() => loadConfig({ ...DATABASE, CYGNET_ROTA_URL: url })).toThrow(
        'CYGNET_ROTA_URL: expected an address like https://',
      )
  })
})
