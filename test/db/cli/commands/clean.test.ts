import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { register } from '../../../../cli/commands/clean.ts'
import { isStored, safeRun } from '../../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())

let printed = ''
beforeEach(() => {
  printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
  const tape = { CYGNET_TAPE_DRIVER: 'directory', CYGNET_TAPE_DIRECTORY: context.tapeFolder }
  for (const [name, value] of Object.entries({
    CYGNET_DATABASE_URL: context.catalogue.url,
    ...context.store.environment,
    ...tape,
  }))
    vi.stubEnv(name, value)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  process.exitCode = undefined
})

async function clean(...args: string[]): Promise<string> {
  const program = new Command().exitOverride()
  register(program)
  await program.parseAsync(['clean', ...args], { from: 'user' })
  return printed
}

test('clean --run deletes a run only with --yes', async () => {
  const { key } = await safeRun(context, 'LNGS/run00001.mid.gz')
  expect(await clean('--run', '1', '--tag', 'LNGS')).toMatch(
    /1 file would be deleted.*LNGS\/run00001.*add --yes/s,
  )
  expect(await isStored(context, key)).toBe(true)
  printed = ''
  expect(await clean('--run', '1', '--yes', '--json')).toContain('"runNumber":1')
  expect(JSON.parse(printed)).toMatchObject({
    dryRun: false,
    events: null,
    runs: { deleted: [{ key }], refused: [] },
  })
  expect(await isStored(context, key)).toBe(false)
})

test('clean --run ends with 1 and the reason when the run is kept', async () => {
  await context.putRun('LNGS/run00002.mid.gz', 'alone')
  expect(await clean('--run', '2', '--yes')).toContain('it has no copy on tape')
  expect(process.exitCode).toBe(1)
})

test('a tag that the catalogue does not know is refused, rather than called clean', async () => {
  await expect(clean('--dry-run', '--tag', 'lngs')).rejects.toThrow(
    'the catalogue has no run of the tag lngs yet, but of LNGS',
  )
  expect(await clean('--events', '--dry-run', '--tag', 'lngs')).toContain('events: 0 of 0')
})

test('without a policy runs are kept, and the buffer is checked', async () => {
  const { key } = await safeRun(context, 'LNGS/run00003.mid.gz')
  await context.put('EVENTS/LNGS_1_1.dat', 'x')
  const shown = await clean()
  expect(shown).toContain('events: 0 of 1 deleted')
  expect(shown).toContain('runs: no file is due')
  expect(await isStored(context, key)).toBe(true)
})

test('clean prints the policy in force, how full the store is, and why its files are kept', async () => {
  const { key } = await safeRun(context, 'LNGS/run00004.mid.gz')
  const none = await clean('--dry-run', '--runs')
  expect(none).toMatch(
    /policy +none \(neither CYGNET_CLEAN_RUNS_AFTER_DAYS nor CYGNET_CLOUD_CAPACITY_BYTES is set\)/,
  )
  expect(none).toMatch(/used +not known/)
  vi.stubEnv('CYGNET_CLEAN_RUNS_AFTER_DAYS', '30')
  vi.stubEnv('CYGNET_CLOUD_CAPACITY_BYTES', '100000000')
  printed = ''
  const shown = await clean('--dry-run', '--runs')
  expect(shown).toMatch(
    /policy +runs are deleted from the store 30 days after their arrival.*; above 85 % the oldest are deleted earlier, until 75 %/,
  )
  expect(shown).toMatch(
    /always +files that arrived within the last day are kept; at most 100 files at a time/,
  )
  expect(shown).toMatch(/used +\d+ B of 100 MB, 0 %/)
  expect(shown).toMatch(/\d+ +\d+ B +were stored within the last day, and are kept whatever is configured/)
  expect(shown).toMatch(/\d+ +\d+ B +have no verified copy on tape yet +run 2 of LNGS/)
  printed = ''
  expect(JSON.parse(await clean('--runs', '--json'))).toMatchObject({
    policy: { afterDays: 30 },
    stay: { isAll: true },
  })
  expect(await isStored(context, key)).toBe(true)
})

test('clean --run prints where each file of the run is, and why it is kept', async () => {
  const [suspicious, deleted] = [
    await safeRun(context, 'MAN/run00005.mid.gz'),
    await safeRun(context, 'MAN/run00005sub0001.mid.gz'),
  ]
  await context.database
    .updateTable('replicas')
    .set({ state: 'suspicious', lastError: 'its md5 is another' })
    .where('id', '=', suspicious.cloud.id)
    .execute()
  const shown = await clean('--run', '5', '--tag', 'MAN', '--yes')
  expect(shown).toMatch(
    /MAN\/run00005.mid.gz.*store +suspicious, last verified .*: its md5 is another.*tape +on tape, last verified/s,
  )
  expect(shown).toMatch(
    /kept +its object in the store is suspicious \(its md5 is another\) and is kept for people/,
  )
  expect(shown).toMatch(/run00005sub0001.mid.gz.*deleted +its copy on tape was verified right before/s)
  expect(process.exitCode).toBe(1)
  expect(await isStored(context, deleted.key)).toBe(false)
})

test('clean --run succeeds for a run that is already deleted from the store', async () => {
  await safeRun(context, 'LNGS/run00006.mid.gz')
  await clean('--run', '6', '--yes')
  printed = ''
  expect(await clean('--run', '6', '--yes')).toMatch(
    /store +deleted by Cygnet \d.*nothing +to be deleted in the store/s,
  )
  expect(process.exitCode).toBeUndefined()
})

test.each([
  [['--run', '1', '--events'], /exclude each other/],
  [['--run', '99'], /run 99 is not in the catalogue/],
  [['--tag', '../LNGS'], /is not a tag/],
])('cygnet clean %j is refused with a sentence', async (args, reason) => {
  await expect(clean(...args)).rejects.toMatchObject({
    name: 'InvalidInputError',
    message: expect.stringMatching(reason),
  })
})
