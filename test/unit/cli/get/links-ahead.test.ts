/** Links to many runs need few requests, and are never old. */
import { expect, it, vi } from 'vitest'
import { createApiLinks } from '../../../../cli/get/api-links.ts'
import { linksAhead } from '../../../../cli/get/links-ahead.ts'
import type { RunId } from '../../../../shared/run.ts'

// The pauses between attempts are tested elsewhere.
vi.mock('node:timers/promises', () => ({ setTimeout: async () => {} }))

interface Question {
  readonly method: string
  readonly path: string
  /** Numbers of the runs in one request. */
  readonly runs: readonly number[]
  readonly body: unknown
}

const { signal } = new AbortController()
const runsOf = (tag: string, first: number, count: number): readonly RunId[] =>
  Array.from({ length: count }, (_, index) => ({ tag, runNumber: first + index }))
const problem = (status: number, detail: string) =>
  Response.json({ detail }, { status, headers: { 'retry-after': '0' } })

/**
 * The requests for links of the API. `refuse` may answer instead; run numbers that end with 13 are not in the
 * catalogue.
 */
function fakeApi({
  linkSeconds = 3600,
  refuse = (_: Question): Response | null => null,
  now = () => Date.now(),
} = {}) {
  const requests: Question[] = []
  const linkTo = (runNumber: number) => ({
    runNumber,
    bucket: 'cygno-data',
    key: `LNGS/run${runNumber}.mid.gz`,
    fileName: `run${runNumber}.mid.gz`,
    sizeBytes: 5,
    md5: '0'.repeat(32),
    adler32: '0'.repeat(8),
    sha256: '0'.repeat(64),
    kind: 'link',
    url: `https://store/${runNumber}?signed=${requests.length}`,
    expiresAt: new Date(now() + linkSeconds * 1000).toISOString(),
  })
  const source = createApiLinks({
    async fetch(path, init = {}) {
      const body = typeof init.body === 'string' ? JSON.parse(init.body) : null
      const runs: number[] = body?.runs?.map(({ run }: { run: number }) => run) ?? []
      const question = { method: init.method ?? 'GET', path, runs, body }
      requests.push(question)
      const refusal = refuse(question)
      if (refusal !== null) return refusal
      if (question.method === 'GET') return problem(404, `${path} is not in the catalogue`)
      const [known, unknown] = [
        runs.filter((run) => run % 100 !== 13),
        runs.filter((run) => run % 100 === 13),
      ]
      return Response.json({
        files: known.map(linkTo),
        unknown: unknown.map((run) => ({ tag: 'LNGS', run, why: 'it is not there' })),
      })
    },
  })
  return { source, asked: requests }
}

it('links to many runs are requested for a hundred runs at a time, checked in the store, and returned in order', async () => {
  const { source, asked: requests } = fakeApi()
  const runs = [3000, 3020, 3100, 3120, 3200].flatMap((first) => runsOf('LNGS', first, 10))
  const many = [
    ...runs,
    ...runs.map((run) => ({ ...run, runNumber: run.runNumber + 50 })),
    ...runsOf('LNGS', 9020, 50),
  ]
  const linksOf = linksAhead(source, many, () => new Date())
  for (const run of many)
    expect((await linksOf(run, signal)).map(({ fileName }) => fileName)).toEqual([
      `run${run.runNumber}.mid.gz`,
    ])
  expect(requests.map(({ method, path, runs: { length } }) => [method, path, length])).toEqual([
    ['POST', '/api/v1/links', 100],
    ['POST', '/api/v1/links', 50],
  ])
  expect(requests[0]?.body).toMatchObject({
    check: true,
    runs: many.slice(0, 100).map(({ tag, runNumber }) => ({ tag, run: runNumber })),
  })
})

it('links to runs of several tags are requested tag by tag: a forbidden tag does not affect the others', async () => {
  const { source, asked: requests } = fakeApi({
    refuse: ({ body }) =>
      JSON.stringify(body).includes('"LNF"') ? problem(403, 'ada may not obtain links to runs of LNF') : null,
  })
  const runs = [...runsOf('LNGS', 1, 3), ...runsOf('LNF', 4, 2), ...runsOf('LNGS', 6, 2)]
  const linksOf = linksAhead(source, runs, () => new Date())
  const ended = []
  for (const run of runs)
    ended.push(
      await linksOf(run, signal).then(
        () => 'links',
        (error: Error) => error.message,
      ),
    )
  const refused = 'ada may not obtain links to runs of LNF'
  expect(ended).toEqual(['links', 'links', 'links', refused, refused, 'links', 'links'])
  expect(requests.map(({ runs: numbers }) => numbers)).toEqual([[1, 2, 3], [4, 5], [5], [6, 7]])
})

it('a run without files is requested again alone, which returns the reason', async () => {
  const { source, asked: requests } = fakeApi()
  const runs = runsOf('LNGS', 12, 3)
  const linksOf = linksAhead(source, runs, () => new Date())
  await linksOf(runs[0] as RunId, signal)
  await expect(linksOf(runs[1] as RunId, signal)).rejects.toThrow(
    '/api/v1/runs/LNGS/13/links? is not in the catalogue',
  )
  await linksOf(runs[2] as RunId, signal)
  expect(requests.map(({ method }) => method)).toEqual(['POST', 'GET'])
})

it('links that are about to expire, or are some minutes old, are requested again together with the following ones', async () => {
  let at = Date.now()
  const now = () => at
  for (const [linkSeconds, passMs] of [
    [60, 51_000],
    [3600, 300_000],
  ] as const) {
    const { source, asked: requests } = fakeApi({ linkSeconds, now })
    const runs = runsOf('LNGS', 1, 3)
    const linksOf = linksAhead(source, runs, () => new Date(now()))
    await linksOf(runs[0] as RunId, signal)
    at += passMs
    const [file] = await linksOf(runs[1] as RunId, signal)
    expect(file).toMatchObject({ url: 'https://store/2?signed=2' })
    await linksOf(runs[2] as RunId, signal)
    expect(requests.map(({ runs: numbers }) => numbers)).toEqual([
      [1, 2, 3],
      [2, 3],
    ])
  }
})

it('fewer links are requested when the service cannot check so many in time; a missing service is reported', async () => {
  const slow = fakeApi({
    refuse: ({ runs }) => (runs.length > 10 ? problem(503, 'the service cannot answer now') : null),
  })
  const runs = runsOf('LNGS', 200, 12)
  const linksOf = linksAhead(slow.source, runs, () => new Date())
  for (const run of runs) await linksOf(run, signal)
  expect(
    slow.asked.filter(({ runs: { length } }) => length <= 10).map(({ runs: numbers }) => numbers.length),
  ).toEqual([2, 2, 2, 2, 2, 2])
  const away = fakeApi({ refuse: () => problem(503, 'the service cannot answer now') })
  const first = linksAhead(away.source, runs, () => new Date())
  await expect(first(runs[0] as RunId, signal)).rejects.toThrow('cannot answer now')
  expect(new Set(away.asked.map(({ runs: { length } }) => length))).toEqual(new Set([12, 2, 1]))
})
