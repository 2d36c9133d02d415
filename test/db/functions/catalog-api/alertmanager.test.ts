/** Notifications of an Alertmanager become alerts, counted in a sensible way however often they are sent. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerAlertmanager } from '../../../../functions/catalog-api/api/alertmanager.ts'
import { alerts as format } from '../../../../shared/messages/alerts.ts'
import { machineCaller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const SENDER = machineCaller('alertmanager', 'alert:*')
const PATH = '/api/v1/alerts/alertmanager'

let context: TestTapeContext
let app: RestApp
let runId: number
let time: number
beforeAll(async () => {
  context = await startTestTapeContext()
  app = restApp({ ...context, now: () => new Date(time) }, registerAlertmanager)
  await context.putRun('LNGS/run00001.mid.gz', 'the bytes of a run')
  runId = (await context.database.selectFrom('runs').select('id').executeTakeFirstOrThrow()).id
})
afterAll(() => context?.close())
beforeEach(async () => {
  time = Date.parse('2026-12-01T12:05:00Z')
  await context.database.deleteFrom('outbox').execute()
})

const hours = (count: number) => {
  time += count * 3_600_000
}
/** As Alertmanager 0.25 sends it. */
const alertOf = (more: object = {}) => ({
  status: 'firing',
  labels: {
    alertname: 'GasPressureHigh',
    instance: 'gas01:9100',
    severity: 'critical',
    tag: 'LNGS',
    run: '1',
  },
  annotations: { summary: 'the gas pressure is 1.2 bar', description: 'above 1.1 bar for 5 minutes' },
  startsAt: '2026-12-01T12:00:00.123456789Z',
  endsAt: '0001-01-01T00:00:00Z',
  generatorURL: 'http://prometheus.example.org/graph?g0.expr=gas',
  fingerprint: 'a1b2c3d4e5f60718',
  ...more,
})
const payload = (alerts: readonly object[], more: object = {}) => ({
  ...{ version: '4', groupKey: '{}:{alertname="GasPressureHigh"}', truncatedAlerts: 0, status: 'firing' },
  ...{ receiver: 'cygnet', groupLabels: {}, commonLabels: {}, commonAnnotations: {} },
  ...{ externalURL: 'http://alertmanager.example.org', alerts, ...more },
})
const send = (...alerts: readonly object[]) => app.post(PATH, payload(alerts), SENDER)
const ENDED = { status: 'resolved', endsAt: '2026-12-01T12:30:00Z' }
const written = async () => {
  const rows = await context.database.selectFrom('outbox').select(['body', 'runId']).orderBy('id').execute()
  return rows.map(({ body, runId }) => ({ ...format.parse(body), runId }))
}

describe('a notification of an Alertmanager', () => {
  it('becomes an alert with its labels, and the run that they name', async () => {
    expect(await send(alertOf())).toMatchObject({ status: 200, json: { recorded: 1 } })
    expect(await written()).toEqual([
      {
        ...{ kind: 'raise', rule: 'external', severity: 'page', runId, tag: 'LNGS', runNumber: 1 },
        labels: { ...alertOf().labels, source: 'alertmanager' },
        fingerprint: expect.stringMatching(/^[0-9a-f]{32}$/),
        subject: 'gas01:9100',
        summary: 'GasPressureHigh: the gas pressure is 1.2 bar',
        facts: {
          instance: 'gas01:9100',
          description: 'above 1.1 bar for 5 minutes',
          source: 'http://prometheus.example.org/graph?g0.expr=gas',
        },
        ...{ bucket: null, key: null, attachment: null },
      },
    ])
    expect(await context.drain('alerts')).toHaveLength(1)
  })

  it('ends the alert with the same labels', async () => {
    await send(alertOf())
    await send(alertOf(ENDED))
    const [raised, ended] = await written()
    expect(ended).toMatchObject({ kind: 'resolve', rule: 'external', fingerprint: raised?.fingerprint })
  })

  it('counts once an hour while the alert fires, and its end once, however often it is repeated', async () => {
    for (let index = 0; index < 5; index++) await send(alertOf())
    await Promise.all(Array.from({ length: 5 }, () => send(alertOf())))
    expect(await written()).toHaveLength(1)
    hours(1)
    for (let index = 0; index < 5; index++) await send(alertOf({ annotations: { summary: '1.3 bar' } }))
    expect(await written()).toHaveLength(2)
    for (let index = 0; index < 5; index++) {
      await send(alertOf(ENDED))
      hours(1)
    }
    expect((await written()).map(({ kind }) => kind)).toEqual(['raise', 'raise', 'resolve'])
  })

  it('counts again for a new begin, and apart for other labels', async () => {
    await send(alertOf(), alertOf(ENDED), alertOf({ startsAt: '2026-12-01T12:40:00+01:00' }))
    await send(alertOf({ labels: { ...alertOf().labels, instance: 'gas02:9100' } }))
    const all = await written()
    expect(all.map(({ kind }) => kind)).toEqual(['raise', 'resolve', 'raise', 'raise'])
    expect(new Set(all.map(({ fingerprint }) => fingerprint)).size).toBe(2)
  })

  it('never has the identity of an alert of Cygnet, whatever its labels', async () => {
    const [rule, severity] = ['checksum-mismatch', 'page'] as const
    const labels = { alertname: rule, severity, tag: 'LNGS', run: '1' }
    await send(alertOf({ ...ENDED, labels }), alertOf({ ...ENDED, labels: { ...labels, source: '' } }))
    const { source: _, ...same } = (await written())[0]?.labels ?? {}
    expect(same).toEqual(labels)
    for (const { labels: given } of await written()) expect(given.source).toBe('alertmanager')
  })

  it.each([
    ['critical', 'page'],
    ['Page', 'page'],
    ['error', 'error'],
    ['warning', 'warning'],
    ['info', 'info'],
    ['none', 'warning'],
    ['constructor', 'warning'],
    ['', 'warning'],
  ])('of the severity %j has the severity %s', async (given, expected) => {
    await send(alertOf({ labels: { alertname: 'a', severity: given } }))
    expect((await written())[0]?.severity).toBe(expected)
  })

  it.each([
    [{ tag: '../x', run: '1' }, null, null],
    [{ tag: 'LNGS' }, 'LNGS', null],
    [{ run: '1' }, null, null],
    [{ tag: 'LNGS', run: '99999999999' }, 'LNGS', null],
    [{ tag: 'LNGS', run: '1e3' }, 'LNGS', null],
    [{ tag: 'LNGS', run: '777' }, 'LNGS', 777],
  ])('uses tag and run of %j where they are valid', async (labels, tag, runNumber) => {
    await send(alertOf({ labels: { alertname: 'a', ...labels } }))
    expect(await written()).toMatchObject([{ tag, runNumber, runId: null }])
  })

  it('that leaves alerts out is an alert of its own', async () => {
    for (let index = 0; index < 3; index++)
      await app.post(PATH, payload([alertOf()], { truncatedAlerts: 12 }), SENDER)
    const [, truncated, ...more] = await written()
    expect(more).toEqual([])
    expect(truncated).toMatchObject({
      ...{ rule: 'external-truncated', severity: 'error', subject: 'cygnet' },
      summary: expect.stringContaining(
        'Alertmanager left 12 alerts out of a notification of its receiver cygnet',
      ),
    })
  })

  it('with odd labels is recorded all the same: a refused one would not be repeated', async () => {
    const odd = [
      { tag: 'LNGS' },
      { alertname: 'a\0b\ufffe', severity: 'page' },
      { alertname: 'long', x: 'é'.repeat(20_000) },
      Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`l${index}`, String(index)])),
      {},
    ]
    for (let index = 0; index < 2; index++)
      expect(await send(...odd.map((labels) => alertOf({ labels })))).toMatchObject({ status: 200 })
    const all = await written()
    expect(all).toHaveLength(odd.length)
    expect(all.map(({ summary }) => summary.split(':')[0])).toEqual([
      ...['no name', 'a\ufffdb\ufffd', 'long', 'no name', 'no name'],
    ])
  })

  it('of many alerts is recorded whole', async () => {
    const many = Array.from({ length: 200 }, (_, index) =>
      alertOf({ labels: { alertname: 'a', instance: `daq${index}` } }),
    )
    expect(await send(...many)).toMatchObject({ json: { recorded: 200 } })
    expect(await written()).toHaveLength(200)
  })

  it.each<[string, object]>([
    ['version: expected 4', payload([], { version: '3' })],
    ['alerts: missing', payload([], { alerts: undefined })],
    ['alerts[1].status: expected one of firing, resolved', payload([alertOf(), alertOf({ status: 'gone' })])],
    ['alerts[0].labels.run: expected a string', payload([alertOf({ labels: { alertname: 'a', run: 1 } })])],
    ['alerts[0].startsAt: expected a time', payload([alertOf({ startsAt: 'yesterday' })])],
    ['truncatedAlerts: expected at least 0', payload([], { truncatedAlerts: -1 })],
  ])('is refused: %s', async (sentence, body) => {
    const answer = await app.post(PATH, body, SENDER)
    expect(answer).toMatchObject({ status: 400 })
    expect(answer.json.detail).toContain(sentence)
    expect(await written()).toEqual([])
  })

  it.each(['alert:LNGS', 'operate:*', 'overwrite:*', 'push:*'])(
    'needs the right alert:*, not %s',
    async (scope) => {
      const answer = await app.post(PATH, payload([alertOf()]), machineCaller('other', scope))
      expect(answer).toMatchObject({ status: 403 })
      expect(answer.json.detail).toContain('alert:*')
    },
  )
})
