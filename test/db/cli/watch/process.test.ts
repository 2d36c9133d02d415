/** `cygnet push --watch` as a separate process. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { afterAll, expect, test } from 'vitest'
import { register } from '../../../../cli/commands/push.ts'
import { createFixture, MIB } from '../../../support/cli/push/fixture.ts'
import { startSlowProxy } from '../../../support/cli/push/slow-proxy.ts'
import { until } from '../../../support/waiting.ts'

const fixture = await createFixture()
const proxy = await startSlowProxy(fixture.store.connection.s3.endpoint)
afterAll(async () => {
  await proxy.close()
  fixture.close()
})

const newFolder = () => mkdtempSync(join(fixture.folder, 'data-'))
function runFile(folder: string, name: string, sizeBytes: number, secondsAgo = 100_000) {
  const path = join(folder, name)
  const bytes = randomBytes(sizeBytes)
  writeFileSync(path, bytes)
  const at = Date.now() / 1000 - secondsAgo
  utimesSync(path, at, at)
  return { path, bytes, key: `LNGS/${name}` }
}
const linesOf = (stdout: string) =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const eventsOf = (stdout: string, name: string) => linesOf(stdout).filter(({ event }) => event === name)

test('a watch killed with kill -9 during a file resumes with the missing parts', async () => {
  const folder = newFolder()
  const { bytes, key } = runFile(folder, 'run00001.mid.gz', 28 * MIB)
  const args = [
    '--watch',
    folder,
    '--tag',
    'LNGS',
    '--once',
    '--idle',
    '0',
    '--json',
    '--part-size',
    '5MiB',
    '--concurrency',
    '2',
  ]
  proxy.limit(20 * MIB)
  const { child, ended } = fixture.start(args, proxy.endpoint)
  await until(() => proxy.passedBytes() > 18 * MIB || child.exitCode !== null)
  child.kill('SIGKILL')
  expect(await ended).toMatchObject({ signal: 'SIGKILL' })
  proxy.limit(Number.POSITIVE_INFINITY)
  expect(await fixture.content(key)).toBeNull()

  const again = await fixture.push(args)
  expect(again).toMatchObject({ code: 0, stderr: '' })
  const [pushed] = eventsOf(again.stdout, 'file-pushed')
  expect(pushed).toMatchObject({
    function: 'push',
    run: 1,
    tag: 'LNGS',
    key,
    state: 'uploaded',
    sizeBytes: bytes.length,
  })
  expect(pushed?.sentBytes).toBeLessThanOrEqual(18 * MIB)
  expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  expect(await fixture.unfinished(key)).toEqual([])
  expect(eventsOf((await fixture.push(args)).stdout, 'file-pushed')).toEqual([])
})

test('a single pass prints the pending files with reasons, and its exit code states whether there are any', async () => {
  const folder = newFolder()
  const { key } = runFile(folder, 'run00011.mid.gz', 100)
  runFile(folder, 'run00012.mid', 100, 5)
  const args = ['--watch', folder, '--tag', 'LNGS', '--once']
  const pending = await fixture.push(args)
  expect(pending.code).toBe(1)
  expect(pending.stdout).toMatch(/uploaded +LNGS\/run00011\.mid\.gz +100 B/)
  expect(pending.stdout).toMatch(/run00012\.mid +open +100 B .*it waits for its compression/)
  expect(pending.stdout).toMatch(/1 pending \(1 open\), 100 B.*; 1 in the store and still here, 100 B/)
  expect(await fixture.content(key)).not.toBeNull()
  const done = await fixture.push([...args, '--idle', '1'])
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing pending; 2 in the store') })
})

test('a watch continues until a signal, and then ends in order', async () => {
  const folder = newFolder()
  runFile(folder, 'run00021.mid.gz', 100)
  const { child, ended } = fixture.start(['--watch', folder, '--tag', 'LNGS', '--idle', '1'])
  let output = ''
  child.stdout?.on('data', (chunk) => (output += chunk))
  await until(() => output.includes('"file-pushed"'))
  child.kill('SIGTERM')
  const { code, stdout } = await ended
  expect(code).toBe(0)
  expect(linesOf(stdout).map(({ event }) => event)).toEqual(
    expect.arrayContaining(['watch-started', 'watch-pending', 'file-closed', 'file-pushed', 'watch-stopped']),
  )
  expect(eventsOf(stdout, 'watch-pending')[0]).toMatchObject({
    files: 1,
    bytes: 100,
    open: 1,
    oldestSeconds: expect.any(Number),
  })
})

test('without a configured catalogue no file is deleted, and the error states what to set', async () => {
  const folder = newFolder()
  const { path } = runFile(folder, 'run00031.mid.gz', 100)
  const refused = await fixture.push(['--watch', folder, '--tag', 'LNGS', '--once', '--delete-when-safe'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain(
    '--delete-when-safe needs the catalogue, which has the verified copies on tape: set CYGNET_API_URL and CYGNET_API_TOKEN',
  )
  expect(existsSync(path)).toBe(true)
})

test.each([
  [['--watch', '/tmp']],
  [['--watch', '/tmp', '--tag', 'LNGS', 'run00001.mid']],
  [['--watch', '/tmp', '--tag', 'LNGS', '--overwrite']],
  [['--watch', '/tmp', '--tag', 'LNGS', '--dry-run']],
  [['--watch', '/tmp', '--tag', 'LNGS', '--idle', 'soon']],
  [['--tag', 'LNGS', '--delete-when-safe', 'run00001.mid']],
  [['--tag', 'LNGS', '--once', 'run00001.mid']],
])('a wrong command line, %j, is reported before anything is done', async (args) => {
  const program = new Command().exitOverride()
  register(program)
  const [command] = program.commands
  command?.exitOverride().configureOutput({ writeErr: () => {} })
  await expect(program.parseAsync(['push', ...args], { from: 'user' })).rejects.toThrow(CommanderError)
})
