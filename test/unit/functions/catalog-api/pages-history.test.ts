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
    expect(steps).toEqual([
      ['catalogued', `cygno-data/${KEY}, 12 bytes`, null],
      ['copy to tape requested', '<code class="name">tape:1</code>', null],
      ['tape: requested', expect.stringContaining('davs://tape'), 'tape-requests'],
      ['tape: started', expect.stringContaining('davs://tape'), null],
      ['copied', 'elsewhere', null],
      ['tape: stored, verified', 'sha256 read back', null],
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
    expect(shown({ requests })).toEqual([['alert', expect.stringContaining('not sent yet'), null]])
  })
})

describe('a long history', () => {
  const page = async (lines: number) =>
    String(
      await historySection({
        ...({} as RunDetails),
        requests: [],
        replicas: [],
        history: Array.from({ length: lines }, (_, index) => line(index, `step ${index}.`)),
      }),
    )

  test('shows the newest last, and folds those before them', async () => {
    const text = await page(30)
    expect(text).toContain('<summary>5 older steps</summary>')
    expect(text.indexOf('step 4.')).toBeLessThan(text.indexOf('</details>'))
    expect(text.indexOf('step 5.')).toBeGreaterThan(text.indexOf('</details>'))
    expect(text.indexOf('step 28.')).toBeLessThan(text.indexOf('step 29.'))
    expect(await page(25)).not.toContain('<details>')
  })

  test('is cut when it is very long', async () => {
    const text = await page(5000)
    expect(text.match(/<tr>/g)).toHaveLength(227)
    expect(text).toContain('4\u202f775 steps before these')
    expect(await page(0)).toContain('No step is recorded.')
  })
})
