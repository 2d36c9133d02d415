/** The open problems of a run: kept in its row, whatever changes them, and found by every list. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { endRefusal } from '../../../shared/catalogue/end-refusal.ts'
import { recordInvalid } from '../../../shared/catalogue/record-file.ts'
import { refreshStorage, replicasOfRun } from '../../../shared/catalogue/replicas.ts'
import { inTransaction } from '../../../shared/database/connect.ts'
import { findRuns } from '../../../shared/queries/runs.ts'
import { searchRuns } from '../../../shared/queries/search-runs.ts'
import {
  copyToTape,
  leaseOn,
  record,
  startTestCatalogue,
  type TestCatalogue,
} from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

let run = 3000
beforeEach(() => {
  run++
})

const keyOf = (suffix = '.mid.gz') => `LNGS/run0${run}${suffix}`
const good = (changes: object = {}, more: object = {}) =>
  record(catalogue.database, versionOf(keyOf(), `e${run}`), metadataOf(run, changes), more)
async function refuse(key: string, etag: string) {
  const version = versionOf(key, etag)
  const lease = await leaseOn(catalogue.database, version)
  const file = { lease, tag: 'LNGS', runNumber: run, version, reason: 'it is no gzip file', isHistory: false }
  await recordInvalid(catalogue.database, file, { at: new Date(), stillCurrent: async () => 'yes' })
}
async function setCopy(kind: 'cloud' | 'tape', state: 'suspicious' | 'missing' | 'present' | 'on-media') {
  await inTransaction(catalogue.database, async (trx) => {
    const [found] = await findRuns(catalogue.database, { runNumber: run })
    const runId = found?.id ?? 0
    const [copy] = (await replicasOfRun(trx, runId)).filter((each) => each.kind === kind)
    await trx
      .updateTable('replicas')
      .set({ state })
      .where('id', '=', copy?.id ?? 0)
      .execute()
    await refreshStorage(trx, runId)
  })
}
const problems = async () => (await findRuns(catalogue.database, { runNumber: run }))[0]?.problems
const search = async (problem: 'any' | 'no-camera' | 'invalid-file' | 'missing-copy') =>
  (
    await searchRuns(catalogue.database, {
      tags: '*',
      conditions: { problem, from: run, to: run },
      order: { by: 'run', descending: true },
      after: null,
      limit: 10,
    })
  ).runs.map(({ runNumber }) => runNumber)

test('a good run has no open problem, and no filter finds it', async () => {
  await good()
  expect(await problems()).toBe('')
  expect(await search('any')).toEqual([])
})

test.each([
  ['no-camera', { banks: { DIG0: { count: 20, bytes: 5 } }, cameras: [] }, {}],
  ['incomplete', { complete: false, problem: { code: 'x', message: 'cut', offset: 1 } }, {}],
  ['disputed,suspicious-copy', {}, { integrity: 'mismatch' }],
])('a file makes its run %s', async (expected, changes, more) => {
  await good(changes, more)
  expect(await problems()).toBe(expected)
  expect(await search('any')).toEqual([run])
  expect(await search('no-camera')).toEqual(expected === 'no-camera' ? [run] : [])
})

describe('a copy', () => {
  test.each([
    ['cloud', 'suspicious', 'present', 'suspicious-copy'],
    ['cloud', 'missing', 'present', 'missing-copy'],
    ['tape', 'missing', 'on-media', 'missing-copy'],
    ['tape', 'suspicious', 'on-media', 'suspicious-copy'],
  ] as const)(
    'on %s that is %s is an open problem until it is %s again',
    async (kind, bad, fine, expected) => {
      await good({ banks: { DIG0: { count: 20, bytes: 5 } }, cameras: [] })
      await copyToTape(catalogue.database, run)
      await setCopy(kind, bad)
      expect((await problems())?.split(',').toSorted()).toEqual([expected, 'no-camera'].toSorted())
      await setCopy(kind, fine)
      expect(await problems()).toBe('no-camera')
    },
  )
})

describe('a refused file', () => {
  test('beside a good one is an open problem until a readable version replaces it', async () => {
    await good()
    await refuse(keyOf('sub0001.mid.gz'), 'bad')
    expect(await problems()).toBe('invalid-file')
    expect(await search('invalid-file')).toEqual([run])
    const again = versionOf(keyOf('sub0001.mid.gz'), 'better')
    await record(catalogue.database, again, metadataOf(run, { subrun: 1 }, 'better'))
    expect(await problems()).toBe('incomplete')
  })

  test('that arrived before the good one is an open problem as well', async () => {
    await refuse(keyOf('.mid.lz4'), 'bad')
    await good()
    expect(await problems()).toBe('invalid-file')
  })

  test('that was deleted from the store is no problem any more', async () => {
    await good()
    await refuse(keyOf('.mid.lz4'), 'bad')
    expect(await problems()).toBe('invalid-file')
    await endRefusal(catalogue.database, { bucket: 'cygno-data', key: keyOf('.mid.lz4') }, new Date())
    expect(await problems()).toBe('')
  })

  test('in place of the only one leaves a run without a file, which a readable version ends', async () => {
    await good()
    await refuse(keyOf(), 'bad')
    expect(await problems()).toBe('lost,invalid-file')
    await record(catalogue.database, versionOf(keyOf(), 'again'), metadataOf(run))
    expect(await problems()).toBe('')
  })
})

test('the problem of a run of several files names the file', async () => {
  for (const subrun of [0, 1, 2]) {
    const cut =
      subrun === 1 ? { complete: false, problem: { code: 'x', message: 'it is cut', offset: 1 } } : {}
    const stoppedAt = subrun === 2 ? undefined : null
    const changes = { subrun, ...(stoppedAt === null ? { stoppedAt } : {}), ...cut }
    const version = versionOf(keyOf(`sub000${subrun}.mid.gz`), `s${subrun}`)
    await record(catalogue.database, version, metadataOf(run, changes, `part ${run} ${subrun}`))
  }
  const [found] = await findRuns(catalogue.database, { runNumber: run })
  expect(found).toMatchObject({ problem: `run0${run}sub0001.mid.gz: it is cut`, problems: 'incomplete' })
})
