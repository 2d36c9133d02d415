import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { registerReplicaSummary } from '../../../../functions/catalog-api/api/replicas.ts'
import { refreshStorage } from '../../../../shared/catalogue/replicas.ts'
import { copyToTape, record } from '../../../support/catalogue.ts'
import { showAs } from '../../../support/copy-tasks.ts'
import { ANONYMOUS, caller, type RestApp, restApp } from '../../../support/functions/catalog-api/rest-app.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
let app: RestApp
const DAY_S = 86_400
const NOW = new Date('2026-01-15T08:00:00Z')
const TODAY_S = Date.parse('2026-01-15T00:00:00Z') / 1000

beforeAll(async () => {
  context = { ...(await startTestTapeContext()), now: () => NOW }
  app = restApp(context, registerReplicaSummary)
  const runs = [
    { n: 1, tag: 'LNGS', startedAt: TODAY_S + 60 },
    { n: 2, tag: 'LNGS', startedAt: TODAY_S - 60 },
    { n: 3, tag: 'LNGS', startedAt: TODAY_S - 40 * DAY_S },
    { n: 4, tag: 'LNF', startedAt: TODAY_S + 60 },
  ]
  for (const { n, tag, startedAt } of runs) {
    const metadata = { ...metadataOf(n), sizeBytes: 1000 * n, startedAt, stoppedAt: startedAt + 60 }
    await record(context.database, versionOf(`${tag}/run${n}.mid.gz`, `e${n}`), metadata, { tag })
  }
  await copyToTape(context.database, 1)
  await copyToTape(context.database, 3)
  const copy = await context.database
    .selectFrom('copies')
    .selectAll()
    .where('runNumber', '=', 3)
    .where('kind', '=', 'tape')
    .executeTakeFirstOrThrow()
  await showAs(context.database, { ...copy, state: 'failed' })
  const { id } = await context.database
    .selectFrom('runs')
    .select('id')
    .where('runNumber', '=', 3)
    .executeTakeFirstOrThrow()
  await context.database.transaction().execute((trx) => refreshStorage(trx, id))
})
afterAll(() => context.close())

const summary = async (query = '', who = caller('read:*')) =>
  await app.get(`/api/v1/replicas/summary${query}`, who)

describe('the summary of copies', () => {
  test('reports for each day and tag the volume taken and its volume by place', async () => {
    const { status, json } = await summary('?days=2')
    expect(status).toBe(200)
    expect(json.since).toBe('2026-01-14T00:00:00.000Z')
    expect(json.days).toEqual([
      {
        tag: 'LNF',
        day: '2026-01-15',
        runs: 1,
        takenBytes: 4000,
        localBytes: 0,
        cloudBytes: 4000,
        tapeBytes: 0,
      },
      {
        tag: 'LNGS',
        day: '2026-01-15',
        runs: 1,
        takenBytes: 1000,
        localBytes: 0,
        cloudBytes: 1000,
        tapeBytes: 1000,
      },
      {
        tag: 'LNGS',
        day: '2026-01-14',
        runs: 1,
        takenBytes: 2000,
        localBytes: 0,
        cloudBytes: 2000,
        tapeBytes: 0,
      },
    ])
  })

  test('reports the places of all catalogued data', async () => {
    const { json } = await summary('?days=1')
    const byTag = json.all.toSorted(
      (a: { sizeBytes: number }, b: { sizeBytes: number }) => a.sizeBytes - b.sizeBytes,
    )
    expect(byTag).toEqual([
      { tag: 'LNGS', cloud: 'present', tape: 'on-media', runs: 1, sizeBytes: 1000 },
      { tag: 'LNGS', cloud: 'present', tape: 'none', runs: 1, sizeBytes: 2000 },
      { tag: 'LNGS', cloud: 'present', tape: 'failed', runs: 1, sizeBytes: 3000 },
      { tag: 'LNF', cloud: 'present', tape: 'none', runs: 1, sizeBytes: 4000 },
    ])
  })

  test('reports copies that are not complete, of runs of any age', async () => {
    const { json } = await summary('?days=1')
    expect(json.backlog).toEqual([
      expect.objectContaining({
        tag: 'LNGS',
        kind: 'tape',
        state: 'failed',
        count: 1,
        sizeBytes: 3000,
        oldest: expect.stringMatching(/Z$/),
      }),
    ])
  })

  test('holds only what the caller may see', async () => {
    const { json } = await summary('', caller('read:LNF'))
    expect(json.days.map((day: { tag: string }) => day.tag)).toEqual(['LNF'])
    expect(json.backlog).toEqual([])
    expect(json.all.map((row: { tag: string }) => row.tag)).toEqual(['LNF'])
    expect((await summary('?tag=LNGS', caller('read:LNF'))).status).toBe(403)
    expect((await summary('?tag=LNGS')).json.days.map((day: { tag: string }) => day.tag)).toEqual([
      'LNGS',
      'LNGS',
    ])
    expect((await summary('', ANONYMOUS)).status).toBe(401)
  })

  test.each(['?days=0', '?days=367', '?days=x', '?tag=a//b', '?since=2024-01-01'])(
    'refuses %s',
    async (query) => {
      expect((await summary(query)).status).toBe(400)
    },
  )
})
