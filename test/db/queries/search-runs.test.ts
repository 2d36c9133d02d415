import fc from 'fast-check'
import type { KyselyPlugin } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { refreshStorage } from '../../../shared/catalogue/replicas.ts'
import type { ReplicaKind, ReplicaState } from '../../../shared/database/replica-schema.ts'
import {
  CLOUD_WORDS,
  type StorageSummary,
  storageOf,
  TAPE_WORDS,
} from '../../../shared/database/storage-summary.ts'
import { RUN_ORDERS } from '../../../shared/queries/run-conditions.ts'
import { describeRun } from '../../../shared/queries/runs.ts'
import {
  type RunPosition,
  type RunSearch,
  SearchTooLongError,
  searchRuns,
} from '../../../shared/queries/search-runs.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())
beforeEach(async () => {
  for (const table of ['replicas', 'runFiles', 'runs'] as const)
    await catalogue.database.deleteFrom(table).execute()
})

const AT = new Date('2026-01-15T08:00:00Z')

interface Row {
  readonly tag: string
  readonly current: boolean
  readonly startedS: number | null
  readonly size: number
  readonly complete: boolean
}

const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  tag: fc.constantFrom('LNGS', 'LNF', 'FLASH/2024'),
  current: fc.boolean(),
  startedS: fc.option(fc.integer({ min: 1_700_000_000, max: 1_700_000_004 })),
  size: fc.integer({ min: 0, max: 3 }),
  complete: fc.boolean(),
})

const insertRuns = (rows: readonly Row[]) =>
  catalogue.database
    .insertInto('runs')
    .values(
      rows.map((row, index) => ({
        tag: row.tag,
        runNumber: index % 7,
        startedEpoch: index,
        isCurrent: row.current,
        complete: row.complete,
        integrity: 'verified' as const,
        sizeBytes: row.size,
        eventCount: row.size,
        description: row.size === 1 ? '100 % Ar' : 'He/CF4',
        startedAt: row.startedS === null ? null : new Date(row.startedS * 1000),
        parameters: '{}',
        cataloguedAt: new Date(AT.getTime() + (index % 3)),
        updatedAt: AT,
      })),
    )
    .execute()

/** All pages of a search, one after the other. */
async function all(search: Omit<RunSearch, 'after'>) {
  const found = []
  let after: RunPosition | null = null
  do {
    const page = await searchRuns(catalogue.database, { ...search, after })
    expect(page.runs.length).toBeLessThanOrEqual(search.limit)
    if (page.next !== null) expect(page.runs.length).toBe(search.limit)
    found.push(...page.runs)
    after = page.next
  } while (after !== null)
  return found
}

const COLUMNS = {
  run: 'runNumber',
  start: 'startedAt',
  size: 'sizeBytes',
  events: 'eventCount',
  catalogued: 'cataloguedAt',
} as const

describe('pages', () => {
  test('hold every run that fits exactly once and in order, with equal and unknown values too', async () => {
    const search = fc.record({
      rows: fc.array(rowArbitrary, { minLength: 1, maxLength: 25 }),
      by: fc.constantFrom(...RUN_ORDERS),
      descending: fc.boolean(),
      limit: fc.integer({ min: 1, max: 9 }),
      tags: fc.constantFrom('*' as const, ['LNGS'], ['LNGS', 'FLASH/2024'], ['LNGS', 'LNGS'], []),
      complete: fc.option(fc.boolean(), { nil: undefined }),
      from: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
      to: fc.option(fc.constantFrom(0, 3, 6, 100_000), { nil: undefined }),
      text: fc.option(fc.constant('%'), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(search, async ({ rows, by, descending, limit, tags, complete, from, to, text }) => {
        await catalogue.database.deleteFrom('runs').execute()
        await insertRuns(rows)
        const found = await all({
          tags,
          conditions: { complete, from, to, text },
          order: { by, descending },
          limit,
        })
        const stored = await catalogue.database.selectFrom('runs').selectAll().execute()
        const value = (run: (typeof stored)[number]) => Number(run[COLUMNS[by]] ?? Number.NEGATIVE_INFINITY)
        const expected = stored
          .filter((run) => run.isCurrent && (tags === '*' || tags.some((tag) => tag === run.tag)))
          .filter((run) => complete === undefined || run.complete === complete)
          .filter((run) => run.runNumber >= (from ?? 0) && run.runNumber <= (to ?? 1e9))
          .filter((run) => text === undefined || run.description?.includes(text) === true)
          .toSorted(
            (a, b) =>
              (descending ? -1 : 1) * (value(a) === value(b) ? a.id - b.id : value(a) < value(b) ? -1 : 1),
          )
        expect(found.map((run) => run.id)).toEqual(expected.map((run) => run.id))
      }),
      { numRuns: 120 },
    )
  })

  test('go on where they stopped while new runs arrive', async () => {
    const row: Row = { tag: 'LNGS', current: true, startedS: 1_700_000_000, size: 1, complete: true }
    await insertRuns(Array.from({ length: 6 }, () => row))
    const search = { tags: '*', conditions: {}, order: { by: 'run', descending: true }, limit: 3 } as const
    const first = await searchRuns(catalogue.database, { ...search, after: null })
    const [newest] = first.runs
    if (newest === undefined) throw new Error('no run')
    const { id: _, ...copy } = newest
    await catalogue.database
      .insertInto('runs')
      .values({
        ...copy,
        runNumber: 99,
        parameters: '{}',
        fileParameters: null,
        loggerParameters: null,
        corrections: null,
      })
      .execute()
    const second = await searchRuns(catalogue.database, { ...search, after: first.next })
    expect([...first.runs, ...second.runs].map((run) => run.runNumber)).toEqual([5, 4, 3, 2, 1, 0])
  })
})

test('more tags than one statement takes are searched all the same', async () => {
  await insertRuns(
    Array.from({ length: 70 }, (_, index) => ({
      tag: `T${index}`,
      current: true,
      startedS: 1_700_000_000 + index,
      size: 1,
      complete: true,
    })),
  )
  const runs = await all({ tags: '*', conditions: {}, order: { by: 'start', descending: false }, limit: 20 })
  expect(runs.map((run) => run.tag)).toEqual(Array.from({ length: 70 }, (_, index) => `T${index}`))
})

describe('where runs are', () => {
  const STATES: Readonly<Record<ReplicaKind, readonly ReplicaState[]>> = {
    cloud: ['present', 'deleting', 'deleted', 'suspicious', 'replaced', 'missing'],
    tape: ['planned', 'staged', 'on-media', 'missing', 'suspicious'],
    local: ['present', 'deleting', 'deleted', 'missing'],
  }
  const ofKind = (kind: ReplicaKind) =>
    fc.record({
      kind: fc.constant(kind),
      state: fc.constantFrom(...STATES[kind]),
      /** Of what counts, or of contents that were replaced. */
      live: fc.boolean(),
    })
  const copies = fc.array(fc.oneof(ofKind('cloud'), ofKind('tape'), ofKind('local')), { maxLength: 3 })
  const runs = fc.array(fc.array(copies, { maxLength: 3 }), { minLength: 1, maxLength: 12 })

  test('is searched by the words in which it is reported', async () => {
    let number = 0
    await fc.assert(
      fc.asyncProperty(runs, async (all) => {
        for (const table of ['replicas', 'runFiles', 'runs'] as const)
          await catalogue.database.deleteFrom(table).execute()
        await insertRuns(
          all.map(() => ({ tag: 'LNGS', current: true, startedS: null, size: 1, complete: true })),
        )
        const stored = await catalogue.database.selectFrom('runs').selectAll().orderBy('id').execute()
        for (const [index, files] of all.entries())
          for (const [subrun, own] of files.entries())
            number = await insertFile(stored[index]?.id ?? 0, subrun, own, number)
        const told = await Promise.all(
          stored.map(async (run) => (await describeRun(catalogue.database, run)).storage),
        )
        const written = async () =>
          (await catalogue.database.selectFrom('runs').selectAll().orderBy('id').execute()).map(storageOf)
        await catalogue.database
          .updateTable('runs')
          .set({ cloud: 'partly', tape: 'failed', local: 'present' })
          .execute()
        await catalogue.database.transaction().execute(async (trx) => {
          for (const { id } of stored) await refreshStorage(trx, id)
        })
        expect(await written()).toEqual(told)
        const search = {
          tags: '*',
          order: { by: 'run', descending: false },
          limit: 100,
          after: null,
        } as const
        const fitting = (fits: (storage: StorageSummary) => boolean) =>
          stored.flatMap((run, i) => (told[i] && fits(told[i]) ? [run.id] : []))
        for (const cloud of CLOUD_WORDS) {
          const { runs: found } = await searchRuns(catalogue.database, { ...search, conditions: { cloud } })
          expect(new Set(found.map((run) => run.id)), cloud).toEqual(
            new Set(fitting((storage) => storage.cloud === cloud)),
          )
        }
        for (const tape of TAPE_WORDS) {
          const { runs: found } = await searchRuns(catalogue.database, { ...search, conditions: { tape } })
          expect(new Set(found.map((run) => run.id)), tape).toEqual(
            new Set(fitting((storage) => storage.tape === tape)),
          )
        }
      }),
      { numRuns: 25 },
    )
  })

  async function insertFile(
    runId: number,
    subrun: number,
    own: readonly { readonly kind: ReplicaKind; readonly state: ReplicaState; readonly live: boolean }[],
    first: number,
  ): Promise<number> {
    let number = first
    const object = { bucket: 'b', objectKey: `LNGS/run${runId}sub${subrun}.mid` }
    const content = (live: boolean) => ({
      md5: 'm',
      adler32: 'a',
      sha256: live ? 'live' : 'old',
      sizeBytes: 1,
    })
    await catalogue.database
      .insertInto('runFiles')
      .values({
        ...object,
        ...content(true),
        runId,
        subrun,
        etag: 'e',
        lastModified: AT,
        compression: 'none',
        uncompressedBytes: 1,
        integrity: 'verified',
        digestsCompared: '[]',
        complete: true,
        warnings: '[]',
        eventCount: 1,
        eventsById: '{}',
        serialGaps: '{}',
        banks: '{}',
        internalEvents: '{}',
        startedEpoch: 1,
        cameras: '[]',
        digitizers: 'null',
        parameters: '{}',
        isLive: true,
        cataloguedAt: AT,
      })
      .execute()
    for (const { kind, state, live } of own) {
      const identity = Buffer.alloc(32)
      identity.writeUInt32BE(++number)
      await catalogue.database
        .insertInto('replicas')
        .values({
          ...object,
          ...content(live),
          identity,
          runId,
          tag: 'LNGS',
          runNumber: 1,
          kind,
          endpoint: String(number),
          url: 'u',
          name: 'n',
          state,
          requestedAt: AT,
          requestedBy: 'test',
          updatedAt: AT,
        })
        .execute()
    }
    return number
  }
})

test('a search that takes too long is aborted with a sentence that states what to do', async () => {
  await insertRuns([{ tag: 'LNGS', current: true, startedS: null, size: 1, complete: true }])
  const interrupts: KyselyPlugin = {
    transformQuery: ({ node }) => {
      if (node.kind === 'RawNode')
        throw Object.assign(new Error('Query execution was interrupted'), { errno: 1969 })
      return node
    },
    transformResult: async ({ result }) => result,
  }
  const search = {
    tags: ['LNGS'],
    conditions: {},
    order: { by: 'run', descending: true },
    limit: 1,
    after: null,
  } as const
  const searching = searchRuns(catalogue.database.withPlugin(interrupts), search)
  await expect(searching).rejects.toThrow(SearchTooLongError)
  await expect(searching).rejects.toThrow(/narrow it by tag, run numbers or time/)
})
