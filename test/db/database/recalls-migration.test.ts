/** The migration of recalls, which were replicas before, to their own rows and tasks. */
import { type Kysely, sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recallIdentity } from '../../../shared/catalogue/recalls.ts'
import * as recalls from '../../../shared/database/migrations/0013-recalls.ts'
import * as replicaFacts from '../../../shared/database/migrations/0014-replica-facts.ts'
import { startTestCatalogue, type TestCatalogue } from '../../support/catalogue.ts'

const AT = new Date('2026-03-01T12:00:00.000Z')
const LATER = new Date('2026-03-01T12:10:00.000Z')
const END = new Date('2026-03-08T12:00:00.000Z')
const keyOf = (id: number) => `LNGS/run${String(id).padStart(5, '0')}.mid.gz`

let catalogue: TestCatalogue
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

interface Before {
  readonly state: string
  readonly reference?: string
  readonly attempts?: number
  readonly nextAttemptAt?: Date
  readonly lastError?: string
}

/** The recalls before the migration, by id. */
const BEFORE: Readonly<Record<number, Before>> = {
  11: { state: 'requested' },
  12: { state: 'copying', reference: 'upload:2~abc\na request\nof two lines', attempts: 1 },
  13: { state: 'staging', reference: 'request-7', nextAttemptAt: LATER },
  14: { state: 'failed', reference: 'upload:2~def', attempts: 2, nextAttemptAt: LATER, lastError: 'no line' },
  15: { state: 'failed', attempts: 3, lastError: 'it is lost' },
  16: { state: 'present', reference: 'object:the-etag' },
  17: { state: 'present' },
  18: { state: 'expired', reference: 'object:the-etag' },
  19: { state: 'missing', reference: 'object:the-etag', lastError: 'it was not there at two looks' },
}

async function fillAsBefore(): Promise<void> {
  const { database } = catalogue
  for (const { down } of [replicaFacts, recalls]) await down(database as unknown as Kysely<unknown>)
  await sql`INSERT INTO runs (id, tag, run_number, started_epoch, integrity, parameters, catalogued_at, updated_at)
    VALUES (1, 'LNGS', 1, 0, 'verified', '{}', ${AT}, ${AT})`.execute(database)
  for (const [id, before] of Object.entries(BEFORE)) {
    const key = keyOf(Number(id))
    const sha256 = id.repeat(32)
    const identity = recallIdentity({ bucket: 'raw', key, sha256 })
    const { state, reference = null, attempts = 0, nextAttemptAt = null, lastError = null } = before
    const replica = (kind: 'recall' | 'tape', own: Buffer, endpoint: string, is: string) =>
      sql`INSERT INTO replicas (id, identity, run_id, tag, run_number, bucket, object_key, kind, endpoint, url, name,
        size_bytes, md5, adler32, sha256, state, requested_at, requested_by, generation, expires_at, verified_at, updated_at,
        reference, attempts, next_attempt_at, last_error)
      VALUES (${Number(id) + (kind === 'recall' ? 0 : 1000)}, ${own}, 1, 'LNGS', 1, 'raw', ${key}, ${kind}, ${endpoint}, 'u', 'n',
        7, ${'0'.repeat(32)}, ${'0'.repeat(8)}, ${sha256}, ${is}, ${AT}, 'ana', 2, ${kind === 'recall' ? END : null}, ${AT},
        ${AT}, ${reference}, ${attempts}, ${nextAttemptAt}, ${lastError})`.execute(database)
    await replica('recall', identity, '', state)
    await replica('tape', Buffer.alloc(32, Number(id)), 'davs://tape.example/', 'on-media')
  }
}

test('recalls of a filled catalogue keep their ids and shown values, and their work continues', async () => {
  const { database } = catalogue
  await fillAsBefore()
  // Each migration runs twice, as after a crash in the middle.
  for (const { up } of [recalls, recalls, replicaFacts, replicaFacts])
    await up(database as unknown as Kysely<unknown>)

  expect(await database.selectFrom('replicas').select('id').where('kind', '!=', 'tape').execute()).toEqual([])
  const shown = await database.selectFrom('shownRecalls').selectAll().orderBy('id').execute()
  expect(
    shown.map(({ id, state, reference, attempts, nextAttemptAt: next, lastError: error, etag }) => ({
      ...{ id, state, reference, attempts, next, error, etag },
    })),
  ).toEqual([
    { id: 11, state: 'requested', reference: null, attempts: 0, next: null, error: null, etag: null },
    // Goes on now, and what it has staged is there.
    {
      ...{ id: 12, state: 'staging', reference: 'a request\nof two lines', attempts: 1 },
      ...{ next: expect.any(Date), error: null, etag: null },
    },
    { id: 13, state: 'staging', reference: 'request-7', attempts: 0, next: LATER, error: null, etag: null },
    { id: 14, state: 'failed', reference: null, attempts: 2, next: LATER, error: 'no line', etag: null },
    { id: 15, state: 'failed', reference: null, attempts: 3, next: null, error: 'it is lost', etag: null },
    {
      ...{ id: 16, state: 'present', reference: 'object:the-etag', attempts: 0 },
      ...{ next: null, error: null, etag: 'the-etag' },
    },
    { id: 17, state: 'present', reference: null, attempts: 0, next: null, error: null, etag: null },
    {
      ...{ id: 18, state: 'expired', reference: 'object:the-etag', attempts: 0 },
      ...{ next: null, error: null, etag: 'the-etag' },
    },
    // A recall whose object vanished from the store is over, and can be requested again.
    { id: 19, state: 'expired', reference: null, attempts: 0, next: null, error: null, etag: null },
  ])
  for (const recall of shown) {
    const { bucket, objectKey: key, sha256, identity } = recall
    expect(identity).toEqual(recallIdentity({ bucket, key, sha256 }))
    expect(recall).toMatchObject({ generation: 2, requestedBy: 'ana', requestedAt: AT, expiresAt: END })
  }

  const tasks = await database
    .selectFrom('tasks')
    .select(['name', 'subjectId', 'state', 'reference', 'dependency', 'needs', 'deadlineAt', 'nextAttemptAt'])
    .orderBy('subjectId')
    .execute()
  expect(tasks.map(({ subjectId, state, reference }) => [subjectId, state, reference])).toEqual([
    [11, 'waiting', null],
    [12, 'waiting', { upload: '2~abc', stage: 'a request\nof two lines' }],
    [13, 'pending', { stage: 'request-7' }],
    [14, 'waiting', { upload: '2~def' }],
    [15, 'given-up', null],
  ])
  for (const { name, subjectId, dependency, needs, deadlineAt, nextAttemptAt } of tasks) {
    expect({ name, dependency, needs }).toEqual({
      name: `recall:${subjectId}`,
      dependency: 'tape-read:davs://tape.example/',
      needs: 'store:raw',
    })
    // None is given up only because the schema was migrated late, and each is due.
    const limitMs = (deadlineAt?.getTime() ?? 0) - Date.now()
    expect(limitMs).toBeGreaterThan(47 * 3_600_000)
    expect(limitMs).toBeLessThan(49 * 3_600_000)
    expect(nextAttemptAt.getTime()).toBeLessThanOrEqual(Date.now())
  }
})

test('a replica can have only the states of its kind', async () => {
  const { database } = catalogue
  const set = (kind: string, state: string) =>
    sql`UPDATE replicas SET kind = ${kind}, state = ${state} WHERE id = 1011`.execute(database)
  for (const [kind, state] of [
    ['tape', 'planned'],
    ['cloud', 'replaced'],
    ['local', 'deleting'],
  ] as const)
    await set(kind, state)
  for (const [kind, state] of [
    ['tape', 'copying'],
    ['tape', 'present'],
    ['cloud', 'planned'],
    ['local', 'on-media'],
    ['recall', 'present'],
  ] as const)
    await expect(set(kind, state)).rejects.toThrow(/replica_state/)
})
