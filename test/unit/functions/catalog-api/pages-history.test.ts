/** The history of a run on its page: one line of time from what several parts of the catalogue have noted. */
import { describe, expect, test } from 'vitest'
import { historySection, stepsOf } from '../../../../functions/catalog-api/pages/run-history.ts'
import type { Copy } from '../../../../shared/database/replica-schema.ts'
import type { RunDetails } from '../../../../shared/queries/runs.ts'

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 15, 8, 0, seconds))
const KEY = 'LNGS/run12345.mid.gz'

const copy = (changes: Partial<Copy>): Copy => ({
  ...({} as Copy),
  kind: 'tape',
  objectKey: KEY,
  url: `davs://tape.example.org/cygno-data/${KEY}`,
  requestedAt: at(10),
  requestedBy: 'tape-requests',
  startedAt: null,
  storedAt: null,
  verifiedAt: null,
  verifiedBy: null,
  deletedAt: null,
  ...changes,
})

const line = (seconds: number, what: string, detail = '') => ({ at: at(seconds), what, detail })
const shown = (details: Partial<RunDetails>) =>
  stepsOf({ history: [], requests: [], replicas: [], ...details }).map((step) => [
    step.what,
    String(step.detail),
    step.more,
    step.by,
  ])

describe('the steps of a run', () => {
  test('are in chronological order, from all sources', () => {
    const steps = shown({
      history: [line(5, 'catalogued', `cygno-data/${KEY}, 12 bytes`), line(30, 'copied', 'elsewhere')],
      requests: [{ queue: 'tape-requests', name: 'tape:1', createdAt: at(6), sentAt: at(7) }],
      replicas: [
        copy({ startedAt: at(20), storedAt: at(40), verifiedAt: at(40), verifiedBy: 'sha256 read back' }),
      ],
    })
    const url = `davs://tape.example.org/cygno-data/${KEY}`
    expect(steps).toEqual([
      ['catalogued', `cygno-data/${KEY}, 12 bytes`, null, null],
      ['copy to tape requested', '', 'tape:1', null],
      ['requested', 'the copy on tape', url, 'tape-requests'],
      ['started', 'the copy on tape', url, null],
      ['copied', 'elsewhere', null, null],
      ['stored, verified', 'the copy on tape: sha256 read back', url, null],
    ])
  })

  test('of a copy are omitted where the history reports the same file in the same second', () => {
    const history = [line(40, 'on tape', `davs://tape.example.org/cygno-data/${KEY}, streamed`)]
    expect(
      shown({ history, replicas: [copy({ requestedAt: at(40), storedAt: at(40), verifiedAt: at(40) })] }),
    ).toHaveLength(1)
    expect(
      shown({ history, replicas: [copy({ requestedAt: at(39), storedAt: at(40), verifiedAt: at(41) })] }),
    ).toHaveLength(3)
    const other = [line(40, 'on tape', 'LNGS/run12346.mid.gz')]
    expect(shown({ history: other, replicas: [copy({ requestedAt: at(40) })] })).toHaveLength(2)
  })

  test('that were requested and not sent state that', () => {
    const requests = [{ queue: 'alerts', name: 'alert:x', createdAt: at(1), sentAt: null }]
    expect(shown({ requests })).toEqual([['alert', expect.stringContaining('not sent yet'), 'alert:x', null]])
  })
})

describe('a long history', () => {
  const page = async (history: RunDetails['history']) =>
    String(await historySection({ ...({} as RunDetails), requests: [], replicas: [], history }, at(90)))
  const steps = (lines: number) => Array.from({ length: lines }, (_, index) => line(index, `step ${index}.`))

  test('shows the newest first with its age, and folds those before them', async () => {
    const text = await page(steps(30))
    expect(text).toContain('<summary>18 older steps</summary>')
    const [shown = '', folded = ''] = text.split('<details class="fold"')
    expect(shown.indexOf('step 29.')).toBeLessThan(shown.indexOf('step 28.'))
    expect(shown).toContain('step 18.')
    expect(folded).toContain('step 17.')
    expect(shown).toMatch(/step 29\..*?>61 s<\/time> ago/s)
    expect(await page(steps(12))).not.toContain('<details')
  })

  test('is cut when it is very long', async () => {
    const text = await page(steps(5000))
    expect(text.match(/<li>/g)).toHaveLength(212)
    expect(text).toContain('4\u202f788 steps before these')
    expect(await page([])).toContain('No step is recorded.')
  })

  test('counts consecutive steps of the same kind, and folds all but the newest', async () => {
    const failures = Array.from({ length: 60 }, (_, index) =>
      line(index, 'copy to tape failed', `try ${index + 1}: the endpoint answered 507`),
    )
    const text = await page([...failures, line(70, 'catalogued')])
    expect(text.match(/<li>/g)).toHaveLength(2)
    expect(text).toMatch(
      /<strong>copy to tape failed<\/strong> 60 times, the last time <span class="quiet">try 60: the endpoint answered 507/,
    )
    expect(text).toContain('2026-01-15 08:00:00 UTC  try 1: the endpoint answered 507')
    expect(text).not.toContain('older step')
  })

  test('has checksums by their first characters, and folds them in full with the time', async () => {
    const md5 = '34756aa8a99b770e5a40f943a0ad8cc8'
    const text = await page([line(5, 'catalogued', `${KEY}, md5 ${md5}, complete`)])
    const [summary = '', folded = ''] = text.split('</summary>')
    expect(summary).toContain('md5 34756aa8…, complete')
    expect(summary).not.toContain(md5)
    expect(folded).toContain(md5)
    expect(folded).toContain('08:00:05&nbsp;UTC')
  })
})
