/** What must not keep a run from its second copy, or make it look safer than it is. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createHandler as createTracker } from '../../../functions/track-tape/handler.ts'
import { contentOf, replicaIdentity } from '../../../shared/catalogue/replicas.ts'
import { loadConfig } from '../../../shared/config/config.ts'
import { cleanRuns } from '../../../shared/copies/clean/clean-runs.ts'
import { deleteCloudCopy } from '../../../shared/copies/delete/delete-cloud-copy.ts'
import { requestRecall } from '../../../shared/copies/recall/request.ts'
import { sweepCopies } from '../../../shared/copies/tape/sweep-copies.ts'
import type { WithTape } from '../../../shared/copies/tape/tape-copy.ts'
import { followCopies } from '../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import { verifyReplica } from '../../../shared/copies/verify/verify.ts'
import type { Copy, Replica } from '../../../shared/database/replica-schema.ts'
import { TransientError } from '../../../shared/errors.ts'
import { scheduledEvent } from '../../../shared/runtime/schedule.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { record, runlogRow } from '../../support/catalogue.ts'
import { signal } from '../../support/context.ts'
import { insertCopies } from '../../support/copy-tasks.ts'
import { DAY_MS, removeByHand, replicaById, safeRun } from '../../support/deletions.ts'
import { type FaultyTape, faultyTape } from '../../support/faulty-tape.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'
import { advanceRecall } from '../../support/recalls.ts'
import {
  type CataloguedObject,
  startTestTapeContext,
  type TestTapeContext,
} from '../../support/tape-context.ts'
import { copyNext } from '../../support/tape-copies.ts'

let context: TestTapeContext
let tape: FaultyTape
let time: number
beforeEach(async () => {
  time = Date.now() + 2 * DAY_MS
  context = await startTestTapeContext({
    now: () => new Date(time),
    driver: (folder) => {
      tape = faultyTape(createDirectoryDriver({ folder }))
      return tape
    },
  })
})
afterEach(() => context.close())

const withTape = () => context as WithTape
const copy = () => copyNext(withTape(), signal, context.log)
const sweep = () => sweepCopies(withTape(), signal)
const keyOf = (runNumber: number, tag = 'LNGS') => `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`
const wish = ({ tag, runNumber, sha256, object: { key } }: CataloguedObject) =>
  acceptTapeRequest(withTape(), { tag, runNumber, bucket: context.bucket, key, sha256, priority: 'live' })
const replicas = (kind: Replica['kind']) =>
  context.database.selectFrom('copies').selectAll().where('kind', '=', kind).orderBy('id').execute()
const alerts = async () => (await context.drain('alerts')).map(({ rule, severity }) => `${rule} ${severity}`)
const configured = (environment: Readonly<Record<string, string>>) => ({
  ...context,
  config: loadConfig({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    ...environment,
  }),
})

/** Many copies like one, each of contents of its own. */
async function multiply(
  replica: Copy,
  count: number,
  changes: (index: number) => Partial<Copy> = () => ({}),
): Promise<void> {
  const { id: _, ...columns } = replica
  const rows = Array.from({ length: count }, (_unused, index) => {
    const row = {
      ...columns,
      sha256: index.toString(16).padStart(64, '0'),
      objectKey: keyOf(50_000 + index),
      ...changes(index),
    }
    return {
      ...row,
      identity: replicaIdentity(
        row.kind,
        row.endpoint,
        { bucket: row.bucket, key: row.objectKey, sha256: row.sha256 },
        'x',
      ),
    }
  })
  await insertCopies(context.database, rows)
}

describe('copies to tape', () => {
  test('are claimed by twenty functions at once, each another', async () => {
    const [first] = [await context.putRun(keyOf(1), 'x')]
    await wish(first)
    const [requested] = await replicas('tape')
    if (requested === undefined) throw new Error('no wish')
    await multiply(requested, 500)
    tape.fault = 'down'
    const many = {
      ...withTape(),
      config: { ...context.config, tape: { ...context.config.tape, copiesAtOnce: 100 } },
    }
    const states = await Promise.all(Array.from({ length: 20 }, () => copyNext(many, signal, context.log)))
    expect(new Set(states)).not.toContain('lost')
    const tried = (await replicas('tape')).filter(({ lastError }) => lastError !== null)
    expect(tried.length).toBe(states.filter((state) => state !== null).length)
  })

  test('given up because the file was gone are made when it was put there again', async () => {
    const object = await context.putRun(keyOf(1), 'x')
    // The catalogue's rows are dated by the clock of the machine.
    time = Date.now() - 3_600_000
    await wish(object)
    await removeByHand(context, keyOf(1))
    expect(await copy()).toBe('failed')
    await sweep()
    expect(await copy()).toBeNull()
    await context.putRun(keyOf(1), 'x')
    time += 3_600_000
    await sweep()
    expect(await copy()).toBe('on-media')
  })

  test('that went bad are made anew, however many other bad ones there are', async () => {
    const object = await safeRun(context, keyOf(1))
    await multiply(object.cloud, 501)
    await multiply(object.tape, 501, () => ({ state: 'suspicious' as const }))
    expect((await sweep()).renewed).toBe(500)
    expect((await sweep()).renewed).toBe(1)
    expect((await sweep()).renewed).toBe(0)
  })

  test('stay with their contents when these come to count for another use of the run number', async () => {
    const epochs = (startedAt: number) => ({
      startedAt,
      checksums: metadataOf(1, {}, `${startedAt}`).checksums,
    })
    const [undated, later] = [versionOf(keyOf(1), 'a'), versionOf(keyOf(1), 'b')]
    const bucket = context.bucket
    await record(context.database, { ...undated, bucket }, metadataOf(1, epochs(0)))
    const file = await context.database.selectFrom('runFiles').selectAll().executeTakeFirstOrThrow()
    const asked = await acceptTapeRequest(withTape(), {
      tag: 'LNGS',
      runNumber: 1,
      bucket,
      key: keyOf(1),
      sha256: file.sha256,
      priority: 'live',
    })
    await context.database
      .updateTable('replicas')
      .set({ state: 'on-media', verifiedAt: new Date(), attempts: 0 })
      .where('id', '=', asked.id)
      .execute()
    await record(context.database, { ...later, bucket }, metadataOf(1, epochs(1_700_000_000)))
    await record(context.database, { ...later, etag: 'c', bucket }, metadataOf(1, epochs(1_800_000_000)))
    await record(context.database, { ...undated, bucket }, metadataOf(1, epochs(0)))
    expect(await runlogRow(context.database, 1)).toMatchObject({
      storage_cloud_status: 1,
      storage_tape_status: 1,
    })
  })

  test('with a name that no endpoint can hold keep no other from being made', async () => {
    const bad = await context.putRun(keyOf(1, 'A\\B'), 'bad')
    expect(bad.tag).toBe('A\\B')
    await context.putRun(keyOf(2), 'good')
    time += 3_600_000
    await createTracker(context)(scheduledEvent('track-tape', new Date()), { signal, log: context.log })
    expect((await replicas('tape')).map(({ state, runNumber }) => [runNumber, state])).toEqual([
      [2, 'on-media'],
    ])
    expect(await alerts()).toContain('tape-copy-impossible error')
  })

  test('go on while the queue of the alerts is down', async () => {
    await wish(await context.putRun(keyOf(1), 'x'))
    time += 30 * 3_600_000
    const down = {
      ...context,
      queues: { ...context.queues, send: () => Promise.reject(new TransientError('the queue is down')) },
    }
    await createTracker(down)(scheduledEvent('track-tape', new Date()), { signal, log: context.log }).catch(
      () => {},
    )
    expect((await replicas('tape')).map(({ state }) => state)).toEqual(['on-media'])
  })

  test('go on while the catalogue cannot be swept', async () => {
    await wish(await context.putRun(keyOf(1), 'x'))
    const broken = new Proxy(context.database, {
      get(target, property) {
        const found: unknown = Reflect.get(target, property)
        if (property !== 'selectFrom') return typeof found === 'function' ? found.bind(target) : found
        return (table: string) => {
          if (table === 'runFiles') throw new TransientError('it takes too long')
          return target.selectFrom(table as 'replicas')
        }
      },
    })
    const tracker = createTracker({ ...context, database: broken })
    // findSource needs the table too: the copy is tried, which is what counts here.
    await expect(
      tracker(scheduledEvent('track-tape', new Date()), { signal, log: context.log }),
    ).rejects.toThrow('too long')
    expect((await replicas('tape'))[0]).toMatchObject({ attempts: 1 })
  })

  test('of an endpoint that answers with pages of text fail like others', async () => {
    await wish(await context.putRun(keyOf(1), 'x'))
    const wordy = { ...tape, look: () => Promise.reject(new TransientError('no '.repeat(50_000))) }
    expect(await copyNext({ ...withTape(), tape: wordy }, signal, context.log)).toBe('requested')
    expect((await replicas('tape'))[0]).toMatchObject({ state: 'requested', attempts: 1, leaseOwner: null })
  })

  test('are told again when they fail again after they had been made', async () => {
    await wish(await context.putRun(keyOf(1), 'x'))
    const failSixTimes = async () => {
      tape.fault = 'fails'
      for (let attempt = 0; attempt < 6; attempt++) {
        await context.database.deleteFrom('breakers').execute()
        await copy()
        time += 7 * 3_600_000
      }
      tape.fault = null
    }
    await failSixTimes()
    await sweep()
    expect((await alerts()).sort()).toEqual(['not-on-tape error', 'tape-copy-fails error'])
    await context.database.deleteFrom('breakers').execute()
    expect(await copy()).toBe('on-media')
    const [made] = await replicas('tape')
    if (made === undefined) throw new Error('no copy')
    rmSync(join(context.tapeFolder, made.name))
    await verifyReplica(context, made.id, { readBack: 'if-needed', secondLookMs: 1 }, signal, context.log)
    await sweep()
    expect(await alerts()).toEqual(['copy-missing error'])
    await failSixTimes()
    await sweep()
    expect((await alerts()).sort()).toEqual(['not-on-tape error', 'tape-copy-fails error'])
  })

  test('that were asked for at a former endpoint are not told as late', async () => {
    const { tape: made } = await safeRun(context, keyOf(1))
    await multiply(made, 3, () => ({ endpoint: 'file:///former', state: 'requested' as const }))
    time += 30 * DAY_MS
    expect(await sweep()).toMatchObject({ late: 0 })
  })

  test('of a long backlog that was not begun yet are told in one sentence a day', async () => {
    const { tape: made } = await safeRun(context, keyOf(1))
    await multiply(made, 30, () => ({
      state: 'requested' as const,
      priority: 'backlog' as const,
      attempts: 0,
      requestedAt: new Date(time),
    }))
    await sweep()
    expect(await alerts()).toEqual([])
    time += 30 * DAY_MS
    await sweep()
    await sweep()
    const told = await context.drain('alerts')
    expect(told).toEqual([
      expect.objectContaining({ rule: 'backlog-not-on-tape', summary: expect.stringContaining('30 files') }),
    ])
  })

  test('have the tag and the number of the catalogue, whatever the message says', async () => {
    const object = await context.putRun(keyOf(1), 'x')
    await wish({ ...object, tag: 'LNF', runNumber: 7 })
    expect((await replicas('tape'))[0]).toMatchObject({ tag: 'LNGS', runNumber: 1 })
  })

  test('that are followed are not held up by one that cannot be written down', async () => {
    tape.asynchronous = true
    for (const number of [1, 2]) {
      await wish(await context.putRun(keyOf(number), `${number}`))
      expect(await copy()).toBe('submitted')
    }
    await tape.work()
    time += 3_600_000
    const look: FaultyTape['look'] = async (file, ...more) => {
      if (file.runNumber === 1) throw new TransientError('no '.repeat(50_000))
      return await tape.look(file, ...more)
    }
    await followCopies({ ...withTape(), tape: { ...tape, look } }, signal, context.log)
    expect((await replicas('tape')).map(({ state }) => state)).toEqual(['submitted', 'on-media'])
  })
})

describe('what counts as another copy', () => {
  const recalled = async (key: string) => {
    const cloud = (await replicas('cloud')).find(({ objectKey }) => objectKey === key)
    await requestRecall(
      context,
      { runNumber: cloud?.runNumber ?? 0 },
      { days: 3, requestedBy: 'test' },
      context.now(),
      signal,
    )
    return cloud as Replica
  }

  test('is not the same object, kept in the store because somebody asked for it', async () => {
    await context.putRun(keyOf(1), 'x')
    const cloud = await recalled(keyOf(1))
    await removeByHand(context, keyOf(1))
    await verifyReplica(context, cloud.id, { readBack: 'never', secondLookMs: 1 }, signal, context.log)
    expect(await alerts()).toContain('last-copy-in-danger page')
  })

  test('nor when its copy to tape finds it gone', async () => {
    const object = await context.putRun(keyOf(1), 'x')
    await wish(object)
    await recalled(keyOf(1))
    await removeByHand(context, keyOf(1))
    await copy()
    expect(await alerts()).toContain('tape-source-gone page')
  })
})

describe('the copy in the store', () => {
  test('stays suspicious when it was catalogued so while it was looked at for deletion', async () => {
    const run = await safeRun(context, keyOf(1))
    const metadata = metadataOf(1, { checksums: run.cloud, sizeBytes: run.cloud.sizeBytes })
    const look: FaultyTape['look'] = async (...asked) => {
      const found = await context.database
        .selectFrom('runFiles')
        .select(['etag', 'lastModified'])
        .executeTakeFirstOrThrow()
      const version = versionOf(run.key, found.etag, {
        bucket: context.bucket,
        sizeBytes: run.cloud.sizeBytes,
        lastModified: found.lastModified,
      })
      await record(context.database, version, metadata, { integrity: 'mismatch' })
      return await tape.look(...asked)
    }
    const outcome = await deleteCloudCopy(
      { ...context, tape: { ...tape, look } },
      run.cloud,
      'a test',
      signal,
    )
    expect(outcome).toMatchObject({ kind: 'refused', code: 'mismatch' })
    expect(await replicaById(context, run.cloud.id)).toMatchObject({ state: 'suspicious', leaseOwner: null })
    expect(await runlogRow(context.database, 1)).toMatchObject({ storage_cloud_status: -2 })
  })
})

test('a run that is deleted while it is read again is not in the store afterwards', async () => {
  const run = await safeRun(context, keyOf(1))
  const { etag, lastModified } = await context.database
    .selectFrom('runFiles')
    .selectAll()
    .executeTakeFirstOrThrow()
  const version = versionOf(run.key, etag, {
    bucket: context.bucket,
    sizeBytes: run.cloud.sizeBytes,
    lastModified,
  })
  // A replay has read the object to its end; before it writes that down, the cleaner deletes it.
  expect((await deleteCloudCopy(context, run.cloud, 'a test', signal)).kind).toBe('deleted')
  const metadata = metadataOf(1, { checksums: run.cloud, sizeBytes: run.cloud.sizeBytes })
  await record(context.database, version, metadata, { stillCurrent: async () => 'gone' })
  expect((await replicaById(context, run.cloud.id)).state).not.toBe('present')
})

describe('the cleaner', () => {
  const policy = { CYGNET_CLEAN_RUNS_AFTER_DAYS: '1' }
  const clean = (environment: Readonly<Record<string, string>> = {}, on: Partial<TestTapeContext> = {}) =>
    cleanRuns(
      { ...configured({ ...policy, ...environment }), ...on },
      { dryRun: false, now: context.now() },
      signal,
      context.log,
    )
  const both = async (
    run: Awaited<ReturnType<typeof safeRun>>,
    count: number,
    changes: (index: number) => Partial<Replica>,
  ) => {
    await multiply({ ...run.cloud, storedAt: new Date(time - 400 * DAY_MS) }, count, changes)
    await multiply(run.tape, count, changes)
  }

  test('is not kept from its work by runs below a prefix that is protected with its bucket', async () => {
    const run = await safeRun(context, keyOf(1))
    await both(run, 201, (index) => ({ objectKey: keyOf(index, 'LAB') }))
    const result = await clean({ CYGNET_PROTECTED_PREFIXES: `${context.bucket}/LAB/` })
    expect(result.deleted).toMatchObject([{ runNumber: 1 }])
  })

  test('is not kept from its work by runs in a bucket that is none of raw runs any more', async () => {
    const run = await safeRun(context, keyOf(1))
    await both(run, 201, () => ({ bucket: 'former-bucket' }))
    expect((await clean()).deleted).toMatchObject([{ runNumber: 1 }])
  })

  test('is not kept from its work for ever by runs whose copy on tape cannot be read', async () => {
    const runs = []
    for (const number of [1, 2, 3, 4]) runs.push(await safeRun(context, keyOf(number)))
    await context.database
      .updateTable('replicas')
      .set({ storedAt: new Date(time - 9 * DAY_MS) })
      .where('runNumber', '<', 4)
      .where('kind', '=', 'cloud')
      .execute()
    const look: FaultyTape['look'] = async (file, ...more) => {
      if (file.runNumber < 4) throw new TransientError('a bad place on the medium')
      return await tape.look(file, ...more)
    }
    for (let times = 0; times < 2; times++)
      expect(await clean({}, { tape: { ...tape, look } })).toMatchObject({
        deleted: [],
        failed: [{}, {}, {}],
      })
    expect(await clean({}, { tape: { ...tape, look } })).toMatchObject({ deleted: [{ runNumber: 4 }] })
    time += DAY_MS
    expect((await clean()).deleted).toHaveLength(3)
    expect(runs).toHaveLength(4)
  })
})

test('a recall whose endpoint names a stage request at length keeps the whole name and goes on with it', async () => {
  const run = await safeRun(context, keyOf(1))
  expect((await deleteCloudCopy(context, run.cloud, 'a test', signal)).kind).toBe('deleted')
  const { files } = await requestRecall(
    context,
    { runNumber: 1 },
    { days: 1, requestedBy: 'test' },
    context.now(),
    signal,
  )
  const reference = 'r'.repeat(300)
  const asked: (string | null)[] = []
  const stage: FaultyTape['stage'] = async (_, options) => {
    asked.push(options.reference)
    return { kind: 'staging', reference, detail: 'queued' }
  }
  const staging = { ...context, tape: { ...tape, stage } }
  const id = files[0]?.replicaId ?? 0
  expect(await advanceRecall(staging, id, signal, context.log)).toBe('staging')
  time += 3_600_000
  expect(await advanceRecall(staging, id, signal, context.log)).toBe('staging')
  expect(asked).toEqual([null, reference])
})

