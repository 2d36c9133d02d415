/** What explains what: the project's own inhibitions. */
import { describe, expect, it } from 'vitest'
import { inhibitedBy } from '../../../shared/alerts/inhibition.ts'
import { INHIBITIONS } from '../../../shared/alerts/inhibitions.ts'
import type { Labels } from '../../../shared/messages/alert-labels.ts'
import { ALERT_RULES, type AlertRule, type Severity } from '../../../shared/messages/alert-rules.ts'

const RULES = Object.keys(ALERT_RULES) as AlertRule[]
const isInhibited = (labels: Labels, ...firing: readonly Labels[]) =>
  inhibitedBy(
    labels,
    firing.map((one) => ({ labels: one })),
    INHIBITIONS,
  ) !== null

const FILE = { tag: 'LNGS', run: '12345', bucket: 'cygno-data', key: 'LNGS/run12345.mid.gz' }
const TAPE = 'davs://tape.example.org:8443/cygno/'

describe('an alert is not sent while another one explains it', () => {
  it.each<[AlertRule, Labels, Labels]>([
    [
      'store-fails',
      { subject: 'cygno-data', bucket: 'cygno-data' },
      { alertname: 'arrival-failed', ...FILE },
    ],
    ['store-fails', { subject: 'cygno-data' }, { alertname: 'listing-fails', subject: 'cygno-data' }],
    ['store-fails', { bucket: 'cygno-data' }, { alertname: 'tape-copy-fails', ...FILE, subject: TAPE }],
    ['tape-endpoint-fails', { subject: TAPE }, { alertname: 'tape-copy-fails', ...FILE, subject: TAPE }],
    ['tape-endpoint-fails', { subject: TAPE }, { alertname: 'backlog-not-on-tape', subject: TAPE }],
    ['last-copy-in-danger', FILE, { alertname: 'copy-missing', ...FILE, subject: TAPE }],
  ])('%s of %j explains %j', (rule, source, target) => {
    expect(isInhibited(target, { ...source, alertname: rule })).toBe(true)
    const other = Object.fromEntries(Object.entries(source).map(([name, value]) => [name, `${value}2`]))
    expect(isInhibited(target, { ...other, alertname: rule })).toBe(false)
  })

  it('but not a copy of another file, or what only reading from tape explains', () => {
    const danger = { alertname: 'last-copy-in-danger', ...FILE }
    expect(isInhibited({ alertname: 'copy-missing', ...FILE, run: '12346' }, danger)).toBe(false)
    const reading = { alertname: 'tape-endpoint-fails', subject: `reading from ${TAPE}` }
    expect(isInhibited({ alertname: 'not-on-tape', ...FILE, subject: TAPE }, reading)).toBe(false)
  })

  it('but not by labels that both lack', () => {
    expect(isInhibited({ alertname: 'listing-fails' }, { alertname: 'store-fails' })).toBe(false)
    expect(isInhibited({ alertname: 'arrival-failed' }, { alertname: 'store-fails' })).toBe(false)
    expect(isInhibited({ alertname: 'copy-missing' }, { alertname: 'last-copy-in-danger' })).toBe(false)
  })

  it('but not between ours and those of other systems, which have any names', () => {
    const fails = { alertname: 'store-fails', subject: 'cygno-data' }
    const listing = { alertname: 'listing-fails', subject: 'cygno-data' }
    expect(isInhibited(listing, fails)).toBe(true)
    expect(isInhibited(listing, { ...fails, source: 'alertmanager' })).toBe(false)
    expect(isInhibited({ ...listing, source: 'alertmanager' }, fails)).toBe(false)
  })

  it('but never a page, whatever fires: nor, with that, one about a checksum', () => {
    const pages = RULES.filter((rule) =>
      (ALERT_RULES[rule].severities as readonly Severity[]).includes('page'),
    )
    expect(pages).toContain('checksum-mismatch')
    for (const labels of [FILE, { ...FILE, subject: TAPE }, {}])
      for (const alertname of pages)
        expect(
          isInhibited({ ...labels, alertname }, ...RULES.map((rule) => ({ ...labels, alertname: rule }))),
        ).toBe(false)
  })
})
