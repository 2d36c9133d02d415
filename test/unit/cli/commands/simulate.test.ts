import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Command } from 'commander'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { register } from '../../../../cli/commands/simulate.ts'
import { runTimes } from '../../../../shared/extraction/run-parameters.ts'
import { dumpsOf, folder, walk } from '../../../support/simulated-runs.ts'

describe('cygnet simulate', () => {
  afterEach(() => vi.restoreAllMocks())

  async function cygnet(
    ...args: readonly string[]
  ): Promise<{ readonly out: string; readonly error: string }> {
    let [out, error] = ['', '']
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += text
      return true
    })
    const program = new Command('cygnet').exitOverride()
    register(program)
    for (const command of [program, ...program.commands])
      command
        .exitOverride()
        .configureOutput({ writeErr: (text) => (error += text), writeOut: (text) => (out += text) })
    await program.parseAsync(['simulate', ...args], { from: 'user' }).catch((thrown: unknown) => {
      if (!(thrown instanceof Error && 'exitCode' in thrown)) throw thrown
    })
    vi.restoreAllMocks()
    return { out, error }
  }

  test('cygnet simulate writes several runs and prints the written files as JSON', async () => {
    const directory = await folder()
    const { out } = await cygnet(
      '--out',
      directory,
      '--runs',
      '2',
      '--first-run',
      '99999',
      '--events',
      '3',
      '--camera',
      '64',
      '--no-digitizers',
      '--json',
    )
    const { files } = JSON.parse(out) as {
      files: readonly { key: string; path: string; sizeBytes: number }[]
    }
    expect(files.map((file) => file.key)).toEqual(['LNGS/run99999.mid.gz', 'LNGS/run100000.mid.gz'])
    const dumps = await Promise.all(
      files.map(
        async (file) => dumpsOf(walk(new Uint8Array(gunzipSync(await readFile(file.path))))).at(-1)?.tree,
      ),
    )
    expect(dumps.map((tree) => tree?.get('/Runinfo/Run number'))).toEqual([99999, 100000])
    const [first, second] = dumps.map((tree) => runTimes(null, tree ?? null))
    expect(second?.startedAt ?? 0).toBeGreaterThan(first?.stoppedAt ?? Number.POSITIVE_INFINITY)
  })

  test('simulated runs have just ended, like those of a DAQ that runs now', async () => {
    const directory = await folder()
    const before = Math.floor(Date.now() / 1000)
    await cygnet('--out', directory, '--runs', '2', '--events', '3', '--camera', '64', '--no-digitizers')
    const bytes = gunzipSync(await readFile(join(directory, 'LNGS/run00002.mid.gz')))
    const { startedAt } = runTimes(null, dumpsOf(walk(new Uint8Array(bytes))).at(-1)?.tree ?? null)
    expect(startedAt).toBeGreaterThan(before - 60)
    expect(startedAt).toBeLessThanOrEqual(Math.floor(Date.now() / 1000))
  })

  test('cygnet simulate writes the same files with the same seed and start time', async () => {
    const [one, two] = [await folder(), await folder()]
    for (const directory of [one, two])
      await cygnet(
        '--out',
        directory,
        '--events',
        '2',
        '--camera',
        '64',
        '--seed',
        '5',
        '--start-time',
        '1700000000',
      )
    const read = (directory: string) => readFile(join(directory, 'LNGS/run00001.mid.gz'))
    expect(Buffer.compare(await read(one), await read(two))).toBe(0)
  })

  test.each([
    [['--events', 'many'], /whole number from 0/],
    [['--size', '12 potatoes'], /450MB/],
    [['--camera', 'big'], /fusion, quest, flash/],
    [['--fault', 'fire'], /Allowed choices are crash/],
    [['--start-time', 'yesterday'], /Unix seconds/],
    [['--events', '3', '--size', '3MB'], /cannot be used with/],
  ])('cygnet simulate %j is refused with the reason', async (args, reason) => {
    expect((await cygnet(...args)).error).toMatch(reason)
  })

  test('a folder that cannot be written is reported', async () => {
    const file = join(await folder(), 'a-file')
    await writeFile(file, '')
    await expect(cygnet('--out', file, '--camera', '64')).rejects.toThrow(/cannot write below .*a-file/)
  })

  test('the help has examples', async () => {
    expect((await cygnet('--help')).out).toMatch(/Examples:[\s\S]*--size 450MB/)
  })
})
