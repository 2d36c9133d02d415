/**
 * `cygnet push --watch --delete-when-safe` as a process that has only an API token, with the real API.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { MIB, startPush } from '../../../support/cli/push/fixture.ts'
import { type RunOnDisk, startCatalogued } from '../../../support/cli/watch/catalogued.ts'
import { corruptOnTape, onTape } from '../../../support/on-tape.ts'

let world: Awaited<ReturnType<typeof startCatalogued>>
beforeAll(async () => {
  world = await startCatalogued()
})
afterAll(() => world?.close())
afterEach(() => {
  world.meddling.answer = async () => null
})

const once = (watched: string, more: readonly string[] = []) => world.start(watched, world.byApi, more).ended
const rows = (run: RunOnDisk) =>
  world.context.database
    .selectFrom('copies')
    .selectAll()
    .where('objectKey', '=', run.object.key)
    .orderBy('id')
    .execute()
const local = async (run: RunOnDisk) => (await rows(run)).find(({ kind }) => kind === 'local')
const tombstones = (run: RunOnDisk) =>
  world.context.database
    .selectFrom('tombstones')
    .selectAll()
    .where('objectKey', '=', run.object.key)
    .orderBy('id')
    .execute()
const logged = (run: RunOnDisk) =>
  (existsSync(world.deletionLog) ? readFileSync(world.deletionLog, 'utf8') : '')
    .split('\n')
    .filter((line) => line.includes(`"${run.path}"`))
    .map((line) => (JSON.parse(line) as { readonly state: string }).state)
const one = async (sizeBytes?: number) => {
  const { watched, runs } = await world.safeRuns(world.byApi, 1, sizeBytes)
  return { watched, run: runs[0] as RunOnDisk }
}
const isReport = (request: Request) => /\/deletions\/\d+$/.test(new URL(request.url).pathname)
const isQuestion = (request: Request) => request.url.endsWith('/deletions')

test('files are removed when both other copies are verified, with a tombstone and a line of the history, and leave the table', async () => {
  const { watched, runs } = await world.safeRuns(world.byApi, 3)
  const big = world.runFile(watched, 6 * MIB)
  await once(watched)
  expect(existsSync(big.path)).toBe(true)
  expect(runs.map(({ path }) => existsSync(path))).toEqual([false, false, false])
  await world.process(big)
  const { code, stdout } = await once(watched)
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /^deleted +\S+: its object in the store is the catalogued one, and file:\S+ was verified just now: sha256 read back$/m,
  )
  expect(stdout).toMatch(/^nothing pending$/m)
  expect(stdout).not.toContain('not checked yet')
  for (const run of [...runs, big]) {
    expect(await local(run)).toMatchObject({ state: 'deleted', name: run.path })
    expect(await tombstones(run)).toMatchObject([
      { state: 'deleted', survivorVerifiedBy: 'sha256 read back' },
    ])
    expect(logged(run)).toEqual(['intended', 'deleted', 'told'])
  }
})

describe('files that are kept', () => {
  test.each<[string, (run: RunOnDisk) => unknown, RegExp]>([
    [
      'its copy on tape has other bytes',
      (run) => corruptOnTape(world.context, run.object),
      /no copy on tape is verified now/,
    ],
    [
      'its copy on tape is missing',
      (run) => writeFileSync(`${onTape(world.context, run.object)}`, ''),
      /no copy on tape is verified now/,
    ],
    [
      'its object is missing',
      ({ object }) =>
        world.context.s3.send(new DeleteObjectCommand({ Bucket: object.bucket, Key: object.key })),
      /missing in the store, although the catalogue has it there/,
    ],
    [
      'its object was replaced by another with its size, and metadata that state its checksums',
      async ({ object, path }) => {
        const { sha256 = '' } = (await rows({ object } as RunOnDisk))[0] ?? {}
        const Body = Buffer.alloc(readFileSync(path).length, 7)
        await world.context.s3.send(
          new PutObjectCommand({ Bucket: object.bucket, Key: object.key, Body, Metadata: { sha256 } }),
        )
      },
      /is not this file|another object than the one that was catalogued/,
    ],
  ])('a file is kept when %s, whatever the catalogue has', async (_, harm, reason) => {
    const { watched, run } = await one()
    await harm(run)
    const { stdout } = await once(watched)
    expect(stdout).toMatch(reason)
    expect(existsSync(run.path)).toBe(true)
    expect(await tombstones(run)).toEqual([])
    expect(logged(run)).toEqual([])
  })

  test('a file is kept when an earlier version of the API does not have the request', async () => {
    const { watched, run } = await one()
    for (const status of [404, 405]) {
      world.meddling.answer = async (request) =>
        isQuestion(request) ? Response.json({ detail: 'there is nothing here' }, { status }) : null
      expect((await once(watched)).stdout).toContain('this version of the API cannot verify the copies')
    }
    expect(existsSync(run.path)).toBe(true)
  })

  test('a file is kept while a gateway answers in place of the API', async () => {
    const { watched, run } = await one()
    const html = { status: 404, headers: { 'content-type': 'text/html' } }
    world.meddling.answer = async (request) =>
      isQuestion(request) ? new Response('<html>no backend</html>', html) : null
    const { stdout } = await once(watched)
    expect(stdout).toContain('is not from the API of the catalogue')
    expect(stdout).not.toContain('earlier version')
    expect(existsSync(run.path)).toBe(true)
  })

  test('a file is kept while the API does not answer the request', async () => {
    const { watched, run } = await one()
    world.meddling.answer = async (request) =>
      isQuestion(request) ? new Response(null, { status: 503 }) : null
    expect((await once(watched)).stdout).toMatch(/catalogue: the API at \S+ answers 503/)
    expect(existsSync(run.path)).toBe(true)
  })

  test('a file is kept when the permission has expired at its arrival', async () => {
    const { watched, run } = await one()
    world.meddling.answer = async (request) => {
      if (!isQuestion(request)) return null
      request.headers.delete('accept-encoding')
      const answer = await world.api.fetch(request)
      return Response.json({ ...((await answer.json()) as object), validSeconds: 0.001 })
    }
    expect((await once(watched)).stdout).toContain('the permission arrived too late')
    expect(existsSync(run.path)).toBe(true)
    expect(await local(run)).toMatchObject({ state: 'present' })
    expect(await tombstones(run)).toMatchObject([{ state: 'withdrawn' }])
  })
})

describe('a process that is killed with kill -9', { tags: ['long'] }, () => {
  /** The child is killed before the API has answered or received its request. */
  async function killedAt(
    watched: string,
    when: (request: Request) => boolean,
    isHeard: boolean,
  ): Promise<void> {
    const { child, ended } = world.start(watched, world.byApi)
    world.meddling.answer = async (request) => {
      if (!when(request)) return null
      if (isHeard) await world.api.fetch(request)
      child.kill('SIGKILL')
      await ended
      return new Response(null, { status: 503 })
    }
    expect(await ended).toMatchObject({ signal: 'SIGKILL' })
    world.meddling.answer = async () => null
  }

  test('a process killed between the permission and the removal requests it again, and removes the file with the same permission', async () => {
    const { watched, run } = await one()
    await killedAt(watched, isQuestion, true)
    expect(existsSync(run.path)).toBe(true)
    expect(await local(run)).toMatchObject({ state: 'deleting' })
    expect((await once(watched)).stdout).toMatch(/^deleted /m)
    expect(await tombstones(run)).toMatchObject([{ state: 'deleted' }])
    expect(await local(run)).toMatchObject({ state: 'deleted' })
  })

  test.each([true, false])(
    'a removal whose report was interrupted by a kill is reported at the next start (the API had received it: %s)',
    async (isHeard) => {
      const { watched, run } = await one()
      await killedAt(watched, isReport, isHeard)
      expect(existsSync(run.path)).toBe(false)
      expect(logged(run)).toEqual(['intended', 'deleted'])
      expect((await local(run))?.state).toBe(isHeard ? 'deleted' : 'deleting')
      await once(watched)
      expect(await local(run)).toMatchObject({ state: 'deleted' })
      expect(await tombstones(run)).toMatchObject([{ state: 'deleted' }])
      expect(logged(run)).toEqual(['intended', 'deleted', 'told'])
    },
  )

  test.each([
    [
      'refused by the API: the others go on',
      () => Response.json({ detail: 'this token may not' }, { status: 403 }),
      false,
    ],
    ['lost in a gateway: all wait', () => new Response('<html>no backend</html>', { status: 404 }), true],
  ])('after a kill the report is %s; it is repeated later', async (_, refuse, isWaitedFor) => {
    const { watched, runs } = await world.safeRuns(world.byApi, 2)
    await killedAt(watched, isReport, false)
    const [run, other] = runs.toSorted((a, b) => Number(existsSync(a.path)) - Number(existsSync(b.path))) as [
      RunOnDisk,
      RunOnDisk,
    ]
    world.meddling.answer = async (request) =>
      isReport(request) && request.url.includes(run.object.key) ? refuse() : null
    await once(watched)
    expect(logged(run)).toEqual(['intended', 'deleted'])
    expect(existsSync(other.path)).toBe(isWaitedFor)
    world.meddling.answer = async () => null
    await once(watched)
    expect(logged(run)).toEqual(['intended', 'deleted', 'told'])
    expect(await local(run)).toMatchObject({ state: 'deleted' })
    expect(existsSync(other.path)).toBe(false)
  })

  test('after a kill between the log line and the removal the file is there, and this is reported', async () => {
    const { watched, run } = await one()
    await killedAt(watched, isQuestion, true)
    const [tombstone] = await tombstones(run)
    const { bucket, key } = run.object
    const line = {
      at: '',
      state: 'intended',
      path: run.path,
      bucket,
      key,
      sizeBytes: 300_000,
      sha256: tombstone?.sha256,
      why: '',
      permission: tombstone?.id,
    }
    writeFileSync(world.deletionLog, `${JSON.stringify(line)}\n`, { flag: 'a' })
    // Without --delete-when-safe.
    await startPush(['--watch', watched, '--tag', 'LNGS', '--once'], world.byApi).ended
    expect(existsSync(run.path)).toBe(true)
    expect(await local(run)).toMatchObject({ state: 'present' })
    expect(await tombstones(run)).toMatchObject([{ state: 'withdrawn' }])
    expect(logged(run)).toEqual(['intended', 'told'])
  })
})

test('with an expired token the table has the reason why files wait', async () => {
  const watched = world.newFolder()
  world.runFile(watched)
  const { code, stdout } = await world.start(watched, {
    ...world.byApi,
    CYGNET_API_TOKEN: `cyg_${'a'.repeat(43)}`,
  }).ended
  expect(code).toBe(1)
  expect(stdout).toMatch(
    /run\d+\.mid\.gz +waiting .* it waits for the store: the API does not accept CYGNET_API_TOKEN/,
  )
})

test('files given by name are sent too', async () => {
  const { path, object } = world.runFile(world.newFolder(), 100)
  const pushed = await startPush(['--tag', 'LNGS', path], world.byApi).ended
  expect(pushed).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`s3://${object.bucket}/${object.key}`),
  })
})
