/** Reports of `cygnet push --watch` to the catalogue's API about the files on the DAQ's disk. */
import { existsSync, mkdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import * as push from '../../../../cli/commands/push.ts'
import { createToken } from '../../../../shared/access/tokens.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { runlogRow } from '../../../support/catalogue.ts'
import { cygnet } from '../../../support/cli/in-process.ts'
import { startPush } from '../../../support/cli/push/fixture.ts'
import { ONE_PASS, type RunOnDisk, startCatalogued } from '../../../support/cli/watch/catalogued.ts'
import { corruptOnTape } from '../../../support/on-tape.ts'

let world: Awaited<ReturnType<typeof startCatalogued>>
beforeAll(async () => {
  world = await startCatalogued()
})
afterAll(() => world?.close())
afterEach(() => {
  vi.unstubAllEnvs()
})

/**
 * A pass that deletes nothing: all files are kept. It runs in this process, since starting one for each pass would
 * take most of the time.
 */
async function scanOnce(watched: string) {
  const answer = await cygnet(
    [push],
    world.byApi,
    'push',
    '--watch',
    watched,
    ...ONE_PASS,
    '--keep-hours',
    '1000000',
  )
  expect(answer).toMatchObject({ code: 0, error: null })
  return answer
}
const local = async ({ object }: RunOnDisk) =>
  await world.context.database
    .selectFrom('copies')
    .selectAll()
    .where('objectKey', '=', object.key)
    .where('kind', '=', 'local')
    .executeTakeFirst()
const localStatus = async ({ runNumber }: RunOnDisk) =>
  (await runlogRow(world.context.database, runNumber))?.storage_local_status

test('only files whose object is the catalogued one and whose copy on tape is verified are removed', async () => {
  const { watched, runs } = await world.safeRuns(world.byApi, 3)
  const [bad, ...good] = runs as [RunOnDisk, ...RunOnDisk[]]
  corruptOnTape(world.context, bad.object)
  const { code, stdout } = await world.start(watched, world.byApi).ended
  expect(code).toBe(0)
  expect([bad, ...good].map(({ path }) => existsSync(path))).toEqual([true, false, false])
  expect(stdout).toMatch(/^ +1 +no copy on tape is verified now: /m)
  expect(stdout).toMatch(/^nothing pending; 1 in the store and still here/m)
  expect(await local(bad)).toMatchObject({ state: 'present' })
  for (const run of good) {
    const file = await local(run)
    expect(file).toMatchObject({ state: 'deleted', endpoint: hostname(), name: run.path })
    const tombstones = await world.context.database
      .selectFrom('tombstones')
      .selectAll()
      .where('replicaId', '=', file?.id ?? 0)
      .execute()
    expect(tombstones).toMatchObject([{ state: 'deleted', survivorVerifiedBy: 'sha256 read back' }])
  }
  const history = await world.context.database.selectFrom('runHistory').select(['what']).execute()
  expect(history.filter(({ what }) => what === 'local file deleted')).toHaveLength(2)
})

test('a file removed by another process is missing from the next scan on, except while its disk is unmounted, and present again when it is back', async () => {
  const { watched, runs } = await world.safeRuns(world.byApi)
  const run = runs[0] as RunOnDisk
  await scanOnce(watched)
  expect([await local(run), await localStatus(run)]).toMatchObject([{ state: 'present' }, 1])

  renameSync(watched, `${watched}-disk`)
  mkdirSync(watched)
  expect((await scanOnce(watched)).stdout).not.toContain('gone ')
  expect(await local(run)).toMatchObject({ state: 'present' })
  rmdirSync(watched)
  renameSync(`${watched}-disk`, watched)
  await scanOnce(watched)
  expect(await local(run)).toMatchObject({ state: 'present' })

  renameSync(run.path, `${watched}-aside`)
  expect((await scanOnce(watched)).stdout).toContain(
    `missing        ${run.path}: not removed by this program`,
  )
  expect([await local(run), await localStatus(run)]).toMatchObject([{ state: 'missing' }, 0])
  expect((await scanOnce(watched)).stdout).not.toContain('gone ')

  renameSync(`${watched}-aside`, run.path)
  await scanOnce(watched)
  expect([await local(run), await localStatus(run)]).toMatchObject([{ state: 'present' }, 1])
  rmSync(run.path)
})

test('a watch with the token of another machine reports the refusal once and in its summary, and fails', async () => {
  const { database } = world.context
  const made = { name: 'daq-other', machine: 'other', scopes: ['push:LNGS'], days: 1 }
  const { id, secret } = await createToken(database, made, new Date())
  const env = { ...world.byApi, CYGNET_API_TOKEN: secret }
  const { watched, runs } = await world.safeRuns(env, 2)
  const flags = ['--watch', watched, '--tag', 'LNGS', '--once', '--idle', '0']
  const refusal = `speaks for the machine other, not for ${hostname()}: that one needs a token made with --machine`

  const people = await startPush(flags, env).ended
  expect(people.code).toBe(1)
  expect(people.stdout.match(/^catalogue: .*/gm)).toEqual([expect.stringContaining(refusal)])
  expect(people.stdout).toMatch(/^The files are not recorded on this disk: /m)
  const lines = (await startPush([...flags, '--json'], env).ended).stdout.trim().split('\n')
  const events = lines.map((line) => JSON.parse(line))
  expect(events.filter(({ event }) => event === 'watch-failing')).toMatchObject([
    { what: 'catalogue', reason: expect.stringContaining(refusal) },
  ])
  expect(events.at(-1)).toMatchObject({ refusal: expect.stringContaining(refusal) })
  for (const run of runs) expect(await local(run)).toBeUndefined()

  const alerts = (await drainRaised(world.context)).filter(({ rule }) => rule === 'token-of-other-machine')
  expect(alerts).toMatchObject([
    {
      severity: 'error',
      summary: expect.stringMatching(
        `^${hostname()} .*\\(${id}\\).*: cygnet token create --name daq-other --machine ${hostname()} --scope push:LNGS$`,
      ),
    },
  ])
})

test('a token made before machines were recorded, under another name than its machine, goes on working there', async () => {
  const { database } = world.context
  const { watched: earlier } = await world.safeRuns(world.byApi)
  await scanOnce(earlier)
  const made = { name: 'daq-lngs', scopes: ['push:LNGS'], days: 1 }
  const { secret } = await createToken(database, made, new Date())
  await sql`UPDATE api_tokens SET machine = NULL WHERE name = 'daq-lngs'`.execute(database)
  const env = { ...world.byApi, CYGNET_API_TOKEN: secret }
  const { watched, runs } = await world.safeRuns(env)
  expect((await world.start(watched, env).ended).code).toBe(0)
  for (const run of runs) expect(await local(run)).toMatchObject({ state: 'deleted', endpoint: hostname() })
})
