/** A copy on an endpoint's disk buffer permits no deletion because the endpoint once showed no tape system. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deleteCloudCopy } from '../../../../shared/copies/delete/delete-cloud-copy.ts'
import { safetyOf } from '../../../../shared/copies/delete/safety.ts'
import { followCopies } from '../../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { scrub } from '../../../../shared/copies/verify/scrub.ts'
import { database, openContext, tape } from '../../../../shared/runtime/open-context.ts'
import { createTapeRestMemory } from '../../../../shared/runtime/tape-rest-memory.ts'
import { describeObject } from '../../../../shared/storage/objects.ts'
import type { WebdavOptions } from '../../../../shared/tape/webdav/webdav.ts'
import { signal } from '../../../support/context.ts'
import { makeRun, type TestRun } from '../../../support/recalled-runs.ts'
import { tapeFileOf } from '../../../support/tape/files.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'
import { copyNext } from '../../../support/tape-copies.ts'
import { startTapeRestServer, type TapeRestServer } from '../../../support/tape-rest-server.ts'
import { BYTES, startWebdavFixture, type WebdavFixture } from '../../../support/webdav-fixture.ts'

const HOUR_MS = 3_600_000
let endpoint: WebdavFixture
let rest: TapeRestServer
let context: TestTapeContext
let clockMs: number
beforeEach(async () => {
  clockMs = Date.now()
  endpoint = await startWebdavFixture()
  rest = await startTapeRestServer()
  context = await startTestTapeContext({ driver: () => endpoint.driver, now: () => new Date(clockMs) })
})
afterEach(() => Promise.all([context.close(), endpoint.close(), rest.close()]))

const wellKnown = (works: boolean) =>
  endpoint.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', async () =>
    works
      ? await fetch(`${rest.origin}/.well-known/wlcg-tape-rest-api`)
      : new Response('not found', { status: 404 }),
  )

/** Every function has a driver of its own, which knows nothing of what others saw. */
async function inNewFunction<T>(
  work: (context: TestTapeContext) => Promise<T>,
  options: Partial<WebdavOptions> = {},
): Promise<T> {
  const tapeRestMemory = createTapeRestMemory(context.database)
  const { driver } = await startWebdavFixture({ tapeRest: 'auto', tapeRestMemory, ...options }, endpoint)
  try {
    return await work({ ...context, tape: driver })
  } finally {
    await driver.close()
  }
}

async function copiedRun(): Promise<TestRun> {
  const run = await makeRun(context, 1)
  rest.localities.set(`/cygno/${context.bucket}/${run.key}`, 'DISK')
  const { tag, runNumber, key, sha256 } = run
  const { bucket } = context
  await acceptTapeRequest(context, { tag, runNumber, bucket, key, sha256, priority: 'live' })
  await inNewFunction((own) => copyNext(own, signal, own.log))
  return run
}
const copyOf = (kind: 'cloud' | 'tape') =>
  context.database.selectFrom('replicas').selectAll().where('kind', '=', kind).executeTakeFirstOrThrow()
const stateOnTape = async () => (await copyOf('tape')).state
const remove = async (options: Partial<WebdavOptions> = {}) => {
  clockMs += HOUR_MS // the object is no longer new
  const cloud = await copyOf('cloud')
  return await inNewFunction((own) => deleteCloudCopy(own, cloud, 'test', signal, { minAgeMs: 0 }), options)
}
const isInStore = async ({ key }: TestRun) =>
  (await describeObject(context.s3, { bucket: context.bucket, key }, signal)) !== null
/** As if the endpoint had been asked for the first time so long ago. */
const absentFor = (hours: number) =>
  context.database
    .updateTable('tapeEndpoints')
    .set({ tapeRestAbsentSince: new Date(Date.now() - hours * HOUR_MS) })
    .execute()

test.each(['while', 'after'])(
  'a copy on the disk buffer permits no deletion %s the address of the Tape REST API answers 404',
  async (when) => {
    wellKnown(true)
    const run = await copiedRun()
    expect(await stateOnTape()).toBe('staged')
    wellKnown(false)
    clockMs += HOUR_MS
    await inNewFunction((own) => followCopies(own, signal, own.log))
    expect(await stateOnTape()).toBe('staged')
    // Whatever the row states: what decides is asked in the call.
    await context.database
      .updateTable('replicas')
      .set({ state: 'on-media' })
      .where('kind', '=', 'tape')
      .execute()
    if (when === 'after') wellKnown(true)
    const result = await remove().catch((error: unknown) => ({ kind: 'failed', error }))
    expect(result.kind).not.toBe('deleted')
    expect(await isInStore(run)).toBe(true)
  },
)

test('an endpoint that has shown no Tape REST API for less than a day permits no deletion', async () => {
  wellKnown(false)
  const run = await copiedRun()
  expect(await stateOnTape()).toBe('staged')
  await absentFor(23)
  expect(await remove()).toMatchObject({
    kind: 'refused',
    code: 'no-verified-copy',
    reason: expect.stringContaining('CYGNET_TAPE_REST=never'),
  })
  expect(await isInStore(run)).toBe(true)
})

test('a copy counts as on tape only when the endpoint has shown no Tape REST API for a day', async () => {
  wellKnown(false)
  const { key, sha256 } = await copiedRun()
  const { sizeBytes } = await copyOf('cloud')
  const isSafe = async () =>
    (await safetyOf(context, { bucket: context.bucket, key, sha256, sizeBytes })).safe
  expect(await isSafe()).toBe(false)
  await absentFor(25)
  clockMs += HOUR_MS
  await inNewFunction((own) => followCopies(own, signal, own.log))
  expect(await isSafe()).toBe(true)
  // Its Tape REST API is deployed only now: what rested on its absence is checked again.
  wellKnown(true)
  clockMs += HOUR_MS
  const other = await tapeFileOf(BYTES)
  endpoint.server.files.set(other.name, BYTES)
  await inNewFunction((own) => own.tape.check(other, { reference: null, readBack: 'never' }, signal))
  await inNewFunction((own) => scrub(own, { secondCheckMs: 1 }, signal, own.log))
  expect([await stateOnTape(), await isSafe()]).toEqual(['staged', false])
})

test('a deletion that finds the copy on the disk buffer only records it', async () => {
  wellKnown(false)
  await copiedRun()
  await absentFor(25)
  clockMs += HOUR_MS
  await inNewFunction((own) => followCopies(own, signal, own.log))
  expect(await stateOnTape()).toBe('on-media')
  wellKnown(true)
  expect(await remove()).toMatchObject({ kind: 'refused', code: 'no-verified-copy' })
  expect(await stateOnTape()).toBe('staged')
})

test.each<[string, number, Partial<WebdavOptions>]>([
  ['has shown no Tape REST API for a day', 25, {}],
  ['has none by the settings', 0, { tapeRest: 'never' }],
])('an endpoint that %s is itself the medium: a copy there permits a deletion', async (_, hours, options) => {
  wellKnown(false)
  const run = await copiedRun()
  await absentFor(hours)
  clockMs += HOUR_MS
  await inNewFunction((own) => followCopies(own, signal, own.log), options)
  expect(await stateOnTape()).toBe('on-media')
  expect(await remove(options)).toMatchObject({ kind: 'deleted' })
  expect(await isInStore(run)).toBe(false)
})

test('a driver without a memory permits no deletion because of an absence', async () => {
  wellKnown(false)
  await copiedRun()
  await absentFor(25)
  expect(await remove({ tapeRestMemory: undefined })).toMatchObject({ code: 'no-verified-copy' })
})

test('every process remembers in the catalogue what it saw, whatever it opens first', async () => {
  const { config, log } = context
  const settings = { ...config.tape, driver: 'webdav', url: endpoint.server.url } as const
  const file = await tapeFileOf(BYTES)
  endpoint.server.files.set(file.name, BYTES)
  const checkInNewProcess = async () => {
    const own = await openContext({ ...config, tape: settings }, 'test', [tape, database], log)
    const checked = own.tape?.check(file, { reference: null, readBack: 'never' }, signal)
    return await Promise.resolve(checked).finally(() => own.close())
  }
  wellKnown(true)
  expect(await checkInNewProcess()).toMatchObject({ onMedia: false })
  wellKnown(false)
  await expect(checkInNewProcess()).rejects.toThrow('shows no Tape REST API now, but it had one before')
})

test('the absence of an API is counted from the first request, and never after the API was seen', async () => {
  const memory = createTapeRestMemory(context.database)
  const first = await memory.absent('davs://a/')
  expect(await memory.absent('davs://a/')).toEqual(first)
  await memory.found('davs://a/')
  expect(await memory.absent('davs://a/')).toBeNull()
  await memory.found('davs://b/')
  await memory.found('davs://b/')
  expect([await memory.absent('davs://b/'), await memory.absent('davs://c/')]).toEqual([
    null,
    expect.any(Date),
  ])
})
