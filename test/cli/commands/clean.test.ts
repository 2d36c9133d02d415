import { Command } from 'commander'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { register } from '../../../cli/commands/clean.ts'
import { isStored, safeRun } from '../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../support/tape-context.ts'

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
  for (const [name, value] of Object.entries({ CYGNET_DATABASE_URL: context.catalogue.url, ...context.store.environment, ...tape }))
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

test('a run that is named goes only with --yes', async () => {
  const { key } = await safeRun(context, 'LNGS/run00001.mid.gz')
  expect(await clean('--run', '1', '--tag', 'LNGS')).toMatch(/1 file would be deleted.*LNGS\/run00001.*add --yes/s)
  expect(await isStored(context, key)).toBe(true)
  printed = ''
  expect(await clean('--run', '1', '--yes', '--json')).toContain('"runNumber":1')
  expect(JSON.parse(printed)).toMatchObject({ dryRun: false, events: null, runs: { deleted: [{ key }], refused: [] } })
  expect(await isStored(context, key)).toBe(false)
})

test('a run that may not go is an exit code of 1, with the reason', async () => {
  await context.putRun('LNGS/run00002.mid.gz', 'alone')
  expect(await clean('--run', '2', '--yes')).toContain('it has no copy on tape')
  expect(process.exitCode).toBe(1)
})

test('without a policy runs stay, and the buffer is looked at', async () => {
  const { key } = await safeRun(context, 'LNGS/run00003.mid.gz')
  await context.put('EVENTS/LNGS_1_1.dat', 'x')
  const shown = await clean()
  expect(shown).toContain('events: 0 of 1 deleted')
  expect(shown).toContain('runs: none is due')
  expect(await isStored(context, key)).toBe(true)
})

test.each([
  [['--run', '1', '--events'], /do not go together/],
  [['--run', '99'], /run 99 is not in the catalogue/],
  [['--tag', '../LNGS'], /is not a tag/],
])('%j is refused with a sentence', async (args, reason) => {
  await expect(clean(...args)).rejects.toMatchObject({ name: 'InvalidInputError', message: expect.stringMatching(reason) })
})
