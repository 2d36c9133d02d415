/**
 * The life of a run's copies from the view of an operator: copied to tape, deleted from the store, recalled,
 * verified.
 */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runFileBytes } from '../../cli/simulate/write.ts'
import { runlogRow } from '../support/catalogue.ts'
import { eventually, startTestStack, type TestStack } from '../support/stack.ts'

const KEY = 'LNGS/run04711.mid.gz'
let stack: TestStack
let bytes: Uint8Array
beforeAll(async () => {
  stack = await startTestStack()
  bytes = await runFileBytes({ runNumber: 4711, camera: 128, events: 12, digitizers: false })
})
afterAll(() => stack?.close())

const md5 = (data: Uint8Array) => createHash('md5').update(data).digest('hex')
const shown = async () => JSON.parse((await stack.cygnet('runs', 'show', '4711', '--json')).stdout)
const statuses = async () => {
  const row = await runlogRow(stack.context.database, 4711)
  return [row?.storage_cloud_status, row?.storage_tape_status]
}

test('a dropped run is copied to tape and verified, and the tools and the Runlog show it', async () => {
  await stack.put(KEY, bytes)
  const run = await eventually('the run is on tape', async () => {
    const answer = await stack.cygnet('runs', 'show', '4711', '--json')
    const known = answer.code === 0 ? JSON.parse(answer.stdout) : null
    return known?.storage.tape === 'on-media' ? known : null
  })
  expect(
    run.replicas.map((replica: { kind: string; state: string }) => [replica.kind, replica.state]),
  ).toEqual([
    ['cloud', 'present'],
    ['tape', 'on-media'],
  ])
  expect(await statuses()).toEqual([1, 1])
  expect((await stack.cygnet('runs', 'show', '4711')).stdout).toMatch(/tape +on tape/)
  expect((await stack.cygnet('verify', '--run', '4711')).code).toBe(0)
})

test("a safe file is removed from the DAQ's disk with no settings except the token of the local stack", async () => {
  expect(statSync(join(stack.folder, 'stack.json')).mode & 0o777).toBe(0o600)
  const watched = join(stack.folder, 'daq')
  mkdirSync(watched)
  const path = join(watched, 'run04712.mid.gz')
  writeFileSync(path, await runFileBytes({ runNumber: 4712, camera: 32, events: 2, digitizers: false }))
  const push = (...more: readonly string[]) =>
    stack.cygnet('push', '--watch', watched, '--tag', 'LNGS', '--once', '--idle', '0', ...more)
  expect((await push()).code).toBe(0)
  const deleting = ['--delete-when-safe', '--keep-newest', '0', '--keep-hours', '0']
  await eventually('the file is removed', async () => {
    const { stdout } = await push(...deleting)
    return stdout.includes('deleted ') ? true : null
  })
  expect(existsSync(path)).toBe(false)
  expect((await stack.cygnet('runs', 'show', '4712', '--json')).stdout).toContain('"local file deleted"')
})

test('the cleaner deletes nothing without a policy, and a named run only when its copy on tape is verified now', async () => {
  expect((await stack.cygnet('clean', '--runs')).stdout).toContain('no file is due')
  const tape = join(stack.folder, 'tape', stack.bucket, KEY)
  chmodSync(tape, 0o640)
  writeFileSync(tape, 'not the bytes of the run')
  const refused = await stack.cygnet('clean', '--run', '4711', '--yes')
  expect(refused.code).toBe(1)
  expect((await shown()).storage.cloud).toBe('present')
  writeFileSync(tape, bytes)
  expect((await stack.cygnet('verify', '--run', '4711')).code).toBe(0)
  expect((await stack.cygnet('clean', '--run', '4711')).stdout).toContain('--yes')
  expect((await shown()).storage.cloud).toBe('present')
  const cleaned = await stack.cygnet('clean', '--run', '4711', '--yes')
  expect(cleaned).toMatchObject({ code: 0 })
  expect((await shown()).storage).toMatchObject({ cloud: 'deleted', tape: 'on-media' })
  expect(await statuses()).toEqual([2, 1])
})

test('cygnet link states how to recall a run; after the recall the link gives the same bytes', async () => {
  const missing = await stack.cygnet('link', '4711')
  expect(missing).toMatchObject({ code: 1, stdout: '' })
  expect(missing.stderr).toContain('--recall')
  expect((await stack.cygnet('recall', '4711', '--wait')).code).toBe(0)
  const link = await stack.cygnet('link', '4711')
  expect(link.code).toBe(0)
  const answer = await fetch(link.stdout.trim())
  expect(md5(new Uint8Array(await answer.arrayBuffer()))).toBe(md5(bytes))
  await eventually('the catalogue sees it in the store', async () => (await statuses())[0] === 1)
  expect(await statuses()).toEqual([1, 1])
  expect((await stack.cygnet('clean', '--run', '4711', '--yes')).code).toBe(1)
})

test('unknown runs and wrong options are reported with a sentence', async () => {
  for (const command of ['recall', 'link'])
    expect(await stack.cygnet(command, '999999')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('999999'),
    })
  expect((await stack.cygnet('verify')).code).toBe(2)
  expect((await stack.cygnet('recall', 'abc')).code).toBe(2)
})
