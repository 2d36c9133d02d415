/** Whether a site takes data: concluded from arrivals and the DAQ's logger, and no more than that. */
import { describe, expect, test } from 'vitest'
import { silentAfterMs, siteVerdict } from '../../../../functions/catalog-api/pages/site-verdict.ts'
import type { Run } from '../../../../shared/database/schema.ts'
import { NEVER_ARRIVED, type SiteArrivals } from '../../../../shared/queries/site-arrivals.ts'

const NOW = new Date('2026-01-15T12:00:00Z')
const MINUTE_MS = 60_000
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * MINUTE_MS)

interface Case {
  readonly begun: number
  readonly ended?: number | null
  readonly arrived?: number | null
  readonly gap?: number
  readonly isBegin?: boolean
  /** When runs ended that have no file. */
  readonly awaited?: readonly number[]
  /** The length of the run before. */
  readonly before?: number
}

function verdictOf({
  begun,
  ended = begun - 4,
  arrived = null,
  gap = 5,
  isBegin = true,
  awaited = [],
  before = 4,
}: Case) {
  const run = {
    ...({} as Run),
    startedAt: ago(begun),
    stoppedAt: ended === null ? null : ago(ended),
    firstFileAt: arrived === null ? null : ago(arrived),
  }
  const arrivals: SiteArrivals = {
    ...NEVER_ARRIVED,
    lastAt: arrived === null ? null : ago(arrived),
    usualGapMs: gap * MINUTE_MS,
  }
  const latest = [run, { ...run, startedAt: ago(begun + before + 1), stoppedAt: ago(begun + 1) }]
  const site = {
    last: { run, at: ago(begun), isBegin },
    latest,
    arrived: arrivals,
    awaited: awaited.map(ago),
  }
  return siteVerdict(site, NOW)
}
function verdict(about: Case) {
  const { activity, tone } = verdictOf(about)
  return [activity, tone]
}
const stages = (about: Case) => {
  const { daq, store } = verdictOf(about).stages
  return [daq, store]
}

describe('a site', () => {
  test('takes data while runs arrive that have just ended', () => {
    expect(verdict({ begun: 8, arrived: 3 })).toEqual(['taking', 'good'])
  })

  test('takes data while its logger has a run without an end, though no file has arrived', () => {
    expect(verdict({ begun: 10, ended: null })).toEqual(['taking', 'good'])
    expect(verdict({ begun: 200, ended: null, before: 180 })).toEqual(['taking', 'good'])
    expect(verdict({ begun: 60 * 13, ended: null })[0]).toBe('never')
    expect(verdict({ begun: 10, ended: null, isBegin: false })[0]).toBe('never')
  })

  test('whose run lasts much longer than usual may have a DAQ that died', () => {
    const died = { begun: 660, ended: null, arrived: null }
    expect(verdict(died)).toEqual(['unended', 'waiting'])
    expect(verdict({ begun: 20, ended: null })).toEqual(['unended', 'waiting'])
    expect(stages(died)[0]).toBe('waiting')
  })

  test('from which no file arrives is not green, though its logger writes runs', () => {
    const uploaderDied = { begun: 2, ended: null, awaited: [660, 330, 7] }
    expect(verdict(uploaderDied)).toEqual(['taking', 'waiting'])
    expect(stages(uploaderDied)).toEqual(['good', 'waiting'])
    expect(verdictOf(uploaderDied).late).toEqual([ago(660), ago(330)])
    expect(verdict({ begun: 8, arrived: 3, awaited: [330] })).toEqual(['taking', 'waiting'])
    expect(stages({ begun: 8, arrived: 3, awaited: [330] })).toEqual(['good', 'good'])
  })

  test('has for each stage a sign of its own', () => {
    // An archive arrives, and the DAQ rests.
    expect(stages({ begun: 60 * 24 * 40, arrived: 1, gap: 0 })).toEqual(['old', 'good'])
    // The first run after a pause: no file is awaited.
    expect(stages({ begun: 2, ended: null })).toEqual(['good', 'old'])
    expect(stages({ begun: 60 * 24 * 40, arrived: 60 * 24 * 40 - 5 })).toEqual(['old', 'old'])
  })

  test('is silent after three times its usual gap, at least a quarter of an hour and at most an hour', () => {
    expect(verdict({ begun: 19, arrived: 14 })[0]).toBe('taking')
    expect(verdict({ begun: 21, arrived: 16 })).toEqual(['silent', 'waiting'])
    expect(verdict({ begun: 40, arrived: 35, gap: 12 })[0]).toBe('taking')
    expect(verdict({ begun: 125, arrived: 120, gap: 600 })[0]).toBe('silent')
    expect([null, 1, 10, 600].map((gap) => silentAfterMs(gap && gap * MINUTE_MS, 0) / MINUTE_MS)).toEqual([
      15, 15, 30, 60,
    ])
  })

  test('is not silent while a run as long as the last one may be in progress', () => {
    expect(verdict({ begun: 400, ended: 160, arrived: 155 })[0]).toBe('taking')
    expect(verdict({ begun: 900, ended: 660, arrived: 655 })[0]).toBe('silent')
  })

  test('that has been silent for more than a day needs nobody', () => {
    expect(verdict({ begun: 60 * 24 * 40, arrived: 60 * 24 * 40 - 5 })).toEqual(['silent', 'old'])
  })

  test('that uploads an archive does not take data', () => {
    expect(verdict({ begun: 60 * 24 * 40, arrived: 1, gap: 0 })).toEqual(['older', 'moving'])
  })

  test('from which only history is known has sent nothing', () => {
    expect(verdict({ begun: 60 * 24 * 900 })).toEqual(['never', 'old'])
  })
})
