/**
 * The columns about copies in the run's row and in the legacy Runlog agree with the replicas, also under
 * concurrent changes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { claimReplica, endClaim as endReplicaClaim } from '../../../shared/catalogue/replica-work.ts'
import {
  type Content,
  contentOfFile,
  findReplica,
  lockRun,
  lockRunOfReplica,
  refreshStorage,
  requestTapeReplica,
  TAPE_COPY,
} from '../../../shared/catalogue/replicas.ts'
import { noteLocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { inTransaction, openDatabase } from '../../../shared/database/connect.ts'
import { storageOf } from '../../../shared/database/storage-summary.ts'
import { describeRun } from '../../../shared/queries/runs.ts'
import { tapeBreaker } from '../../../shared/work/breaker.ts'
import { claimTask, endClaim } from '../../../shared/work/tasks.ts'
import {
  record,
  runlogRow,
  startTestCatalogue,
  TEST_LEASE_SECONDS,
  type TestCatalogue,
} from '../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let catalogue: TestCatalogue
let runNumber = 0
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
afterAll(() => catalogue.close())

const CLOUD = { absent: -1, present: 1, suspicious: -2, deleted: 2, partly: 2 } as const
const TAPE = { none: -1, 'under-way': -1, 'on-media': 1, failed: -2 } as const

/** Checked after every test for the whole catalogue. */
afterEach(async () => {
  const { database } = catalogue
  for (const run of await database.selectFrom('runs').selectAll().execute()) {
    const { storage } = await describeRun(database, run)
    expect(storageOf(run), `run ${run.runNumber}, generation ${run.id}`).toEqual(storage)
    if (run.isCurrent)
      expect(await runlogRow(database, run.runNumber)).toMatchObject({
        storage_cloud_status: CLOUD[storage.cloud],
        storage_tape_status: TAPE[storage.tape],
      })
  }
  const strays = await database
    .selectFrom('runFiles')
    .innerJoin('replicas', (join) =>
      join
        .onRef('replicas.bucket', '=', 'runFiles.bucket')
        .onRef('replicas.objectKey', '=', 'runFiles.objectKey')
        .onRef('replicas.sha256', '=', 'runFiles.sha256')
        .onRef('replicas.runId', '!=', 'runFiles.runId'),
    )
    .select(['replicas.id', 'replicas.kind'])
    .where('isLive', '=', true)
    .execute()
  expect(strays, 'copies that belong to another run than their contents').toEqual([])
})

const keyOf = (number: number, subrun?: number) =>
  `LNGS/run${String(number).padStart(5, '0')}${subrun === undefined ? '' : `sub${subrun}`}.mid.gz`
const place = (key: string) => ({
  endpoint: 'file:///tape',
  url: `file:///tape/${key}`,
  name: key,
  requestedBy: 'test',
})
const requestCopy = (content: Content, priority: 'live' | 'backlog' = 'live') =>
  requestTapeReplica(catalogue.database, content, { ...place(content.key), priority }, new Date())

/** The contents under the key that count now. */
async function contentOf(key: string): Promise<Content> {
  const file = await catalogue.database
    .selectFrom('runFiles')
    .innerJoin('runs', 'runs.id', 'runFiles.runId')
    .selectAll('runFiles')
    .select(['tag', 'runNumber'])
    .where('objectKey', '=', key)
    .where('isLive', '=', true)
    .executeTakeFirstOrThrow()
  return contentOfFile(file, file)
}

const contents = (number: number, startedAt: number, text: string) =>
  metadataOf(number, { startedAt, checksums: metadataOf(number, {}, text).checksums })

/**
 * Contents that do not state their begin, overwritten by two generations of the number. When they are dropped
 * again, they belong to the later generation.
 */
async function contentsThatMove() {
  const key = keyOf(++runNumber)
  const { database } = catalogue
  const undated = contents(runNumber, 0, `undated ${runNumber}`)
  await record(database, versionOf(key, 'a'), undated)
  const before = await contentOf(key)
  await record(database, versionOf(key, 'b'), contents(runNumber, 1_700_000_000, `b ${runNumber}`))
  await record(database, versionOf(key, 'c'), contents(runNumber, 1_800_000_000, `c ${runNumber}`))
  return {
    before,
    async dropAgain() {
      await record(database, versionOf(key, 'a'), undated)
      const after = await contentOf(key)
      expect(after.sha256).toBe(before.sha256)
      expect(after.run.id).not.toBe(before.run.id)
      return after
    },
  }
}

test('a copy that ends after its contents moved to another generation is recorded in that generation', async () => {
  const { before, dropAgain } = await contentsThatMove()
  const { id } = await requestCopy(before)
  const claim = await claimReplica(catalogue.database, id, ['planned'], {
    owner: 'one',
    leaseSeconds: TEST_LEASE_SECONDS,
  })
  if (claim === null) throw new Error('not claimed')
  const after = await dropAgain()
  const at = new Date()
  const note = { what: 'copied to tape', detail: 'x' }
  await endReplicaClaim(
    catalogue.database,
    claim,
    { change: { state: 'on-media', verifiedAt: at, verifiedBy: 'test' }, note },
    at,
  )
  const run = await catalogue.database
    .selectFrom('runs')
    .selectAll()
    .where('id', '=', after.run.id)
    .executeTakeFirstOrThrow()
  expect(run.tape).toBe('on-media')
  expect((await describeRun(catalogue.database, run)).history.map((line) => line.what)).toContain(
    'copied to tape',
  )
})

test('a requested copy belongs to the generation that its contents belong to when the request is written', async () => {
  const { before, dropAgain } = await contentsThatMove()
  await dropAgain()
  await requestCopy(before)
})

test('a reported file of the DAQ belongs to the generation that its contents belong to at that time', async () => {
  const { before, dropAgain } = await contentsThatMove()
  const { database } = catalogue
  const { bucket, key, sha256, sizeBytes } = before
  const copy = { bucket, key, sha256, sizeBytes, host: 'daq', path: `/data/${key}` }
  // Both wait for the run, one after the other.
  const waiting = await database.transaction().execute(async (trx) => {
    await lockRun(trx, before.run.id)
    const dropped = dropAgain()
    await untilWaiting(1)
    const reported = noteLocalCopy({ database, now: () => new Date(), owner: 'test' }, copy)
    await untilWaiting(2)
    return [dropped, reported]
  })
  await Promise.all(waiting)
})

/** Waits until this many transactions of this catalogue wait for a lock; other tests use the same server. */
async function untilWaiting(count: number): Promise<void> {
  const admin = openDatabase(catalogue.adminUrl, 1)
  try {
    for (;;) {
      const { rows } = await sql`SELECT 1 FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON processlist.id = trx_mysql_thread_id
        WHERE trx_state = 'LOCK WAIT' AND processlist.db = DATABASE()`.execute(admin)
      if (rows.length >= count) return
      // The server refreshes the table only if it is read less often than every 0.1 s.
      await sleep(150)
    }
  } finally {
    await admin.destroy()
  }
}

test('concurrent changes of the copies of one run leave its row in agreement with them', async () => {
  const { database } = catalogue
  const number = ++runNumber
  const subruns = [0, 1, 2, 3]
  const drop = (subrun: number, etag: string, text: string) =>
    record(
      database,
      versionOf(keyOf(number, subrun), etag),
      metadataOf(number, { subrun, checksums: metadataOf(number, {}, text).checksums }, text),
    )
  await Promise.all(subruns.map((subrun) => drop(subrun, `e${subrun}`, `first ${subrun}`)))
  const files = await Promise.all(subruns.map((subrun) => contentOf(keyOf(number, subrun))))
  const at = () => new Date()
  const copy = async (content: Content, index: number) => {
    for (let round = 0; round < 4; round++) {
      await requestCopy(content, round % 2 === 0 ? 'live' : 'backlog')
      const turn = { of: 'due', mostAtOnce: 100 } as const
      const claim = await claimTask(
        { database, owner: `copy ${index} ${round}` },
        {
          kind: TAPE_COPY,
          dependency: tapeBreaker('file:///tape'),
          turn,
          leaseSeconds: TEST_LEASE_SECONDS,
          at: at(),
        },
      )
      if (claim === null) continue
      const failed = (index + round) % 2 === 0
      const replica = await findReplica(database, claim.task.subjectId)
      if (replica === null) throw new Error('a copy without a replica')
      await inTransaction(database, async (trx) => {
        const runId = await lockRunOfReplica(trx, replica)
        await endClaim(
          trx,
          claim,
          failed ? { state: 'failing', nextAttemptAt: new Date(0) } : { state: 'done' },
          at(),
        )
        const verified = { state: 'on-media' as const, verifiedAt: at(), verifiedBy: 'test' }
        if (!failed) await trx.updateTable('replicas').set(verified).where('id', '=', replica.id).execute()
        await refreshStorage(trx, runId)
      })
    }
  }
  const push = async (content: Content) => {
    for (let round = 0; round < 4; round++)
      await noteLocalCopy(
        { database, now: at, owner: 'push' },
        {
          bucket: content.bucket,
          key: content.key,
          sha256: content.sha256,
          sizeBytes: content.sizeBytes,
          host: 'daq',
          path: `/data/${content.key}`,
        },
      )
  }
  const drops = async () => {
    for (let round = 0; round < 3; round++) {
      await drop(0, `again${round}`, `other ${round}`)
      await drop(0, 'e0', 'first 0')
    }
  }
  await Promise.all([drops(), ...files.map(copy), ...files.map(copy), ...files.map(push)])
})
