import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../../cli/simulate/write.ts'
import { readEnding } from '../../../../cli/watch/ending.ts'
import { scanFolder } from '../../../../cli/watch/scan.ts'
import { findWriters } from '../../../../cli/watch/writers.ts'
import { bzip2 } from '../../../support/bzip2-encode.ts'

const folder = mkdtempSync(join(tmpdir(), 'cygnet-ending-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const never = new AbortController().signal
const shape = { camera: 32, digitizers: false, events: 3 } as const
const plain = await runFileBytes(shape, null, { compression: 'none' })

async function endingOf(name: string, bytes: Uint8Array) {
  writeFileSync(join(folder, name), bytes)
  const { files } = await scanFolder(folder, 'LNGS')
  const file = files.find((one) => one.name === name)
  if (file === undefined) throw new Error(`${name} was not found`)
  return await readEnding(file, never)
}

describe('complete files', () => {
  test('a file is complete when it ends in an end-of-run event', async () => {
    expect(await endingOf('run00001.mid', plain)).toEqual({ whole: true })
  })

  test('a file is complete also when the dump at its end is larger than the first tail that is read', async () => {
    const large = Buffer.concat([plain, Buffer.from('01804d49', 'hex')])
    const dump = Buffer.alloc(3_000_000, 0x20)
    const header = Buffer.alloc(12)
    header.writeUInt32LE(dump.length, 8)
    expect(await endingOf('run00002.mid', Buffer.concat([large, header, dump]))).toEqual({ whole: true })
  })

  test.each(['gzip', 'lz4'] as const)('when its %s stream is', async (compression) => {
    const bytes = await runFileBytes(shape, null, { compression })
    expect(await endingOf(`run00003.mid.${compression === 'gzip' ? 'gz' : 'lz4'}`, bytes)).toEqual({
      whole: true,
    })
  })

  test('a bzip2 file is complete when its stream is, at whatever bit it ends', async () => {
    for (let length = 1; length < 12; length++)
      expect(await endingOf('run00004.mid.bz2', bzip2(plain.subarray(0, length)))).toEqual({ whole: true })
  })
})

describe('incomplete files', () => {
  test('a file is incomplete wherever it is cut', async () => {
    const gzip = await runFileBytes(shape, null, { compression: 'gzip' })
    const lz4 = await runFileBytes(shape, null, { compression: 'lz4' })
    for (const share of [0.1, 0.5, 0.9, 1]) {
      const cut = (bytes: Uint8Array) => bytes.subarray(0, Math.floor((bytes.length - 1) * share))
      expect(await endingOf('run00005.mid', cut(plain))).toEqual({
        whole: false,
        doubt: 'it does not end in an end-of-run event',
      })
      expect(await endingOf('run00005.mid.gz', cut(gzip))).toEqual({
        whole: false,
        doubt: 'its compressed data end in the middle',
      })
      expect(await endingOf('run00005.mid.lz4', cut(lz4))).toMatchObject({ whole: false })
      expect(await endingOf('run00005.mid.bz2', cut(bzip2(plain)))).toMatchObject({ whole: false })
    }
  })

  test('a file is incomplete when the logger died before the end of the run', async () => {
    const crashed = await runFileBytes({ ...shape, fault: 'crash' }, null, { compression: 'none' })
    expect(await endingOf('run00006.mid', crashed)).toMatchObject({ whole: false })
  })

  test('a file is incomplete when it is empty or missing', async () => {
    expect(await endingOf('run00007.mid', new Uint8Array(0))).toMatchObject({ whole: false })
    const { files } = await scanFolder(folder, 'LNGS')
    rmSync(join(folder, 'run00007.mid'))
    for (const file of files.filter(({ name }) => name === 'run00007.mid'))
      expect(await readEnding(file, never)).toEqual({ whole: false, doubt: null })
  })
})

describe.runIf(process.platform === 'linux')('a process that has a file open', () => {
  const children: ChildProcess[] = []
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL')
  })
  async function holding(mode: string, path: string, lock = false): Promise<void> {
    const script = `const fd = require('node:fs').openSync(process.argv[1], '${mode}'); console.log('open'); setInterval(() => fd, 1e6)`
    const command = [
      ...(lock ? ['flock', '--no-fork', '--exclusive', path] : []),
      process.execPath,
      '-e',
      script,
      path,
    ]
    const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    await once(child.stdout as NodeJS.ReadableStream, 'data')
  }
  const onDisk = (name: string) => {
    const path = join(folder, name)
    writeFileSync(path, 'x')
    const { dev, ino } = lstatSync(path, { bigint: true })
    return { name, path, dev, ino }
  }

  test('a process that has the file open for writing is found and named; one that reads it is not', async () => {
    const [written, read, untouched] = [
      onDisk('run00010.mid'),
      onDisk('run00011.mid'),
      onDisk('run00012.mid'),
    ]
    await holding('a', written.path)
    await holding('r', read.path)
    const writers = findWriters([written, read, untouched])
    expect([...writers.keys()]).toEqual([written])
    expect(writers.get(written)).toMatch(/\(process \d+\)$/)
  })

  test('a writer of another file with that name is ignored', async () => {
    const first = onDisk('run00013.mid')
    await holding('a', first.path)
    rmSync(first.path)
    writeFileSync(join(folder, 'spare'), 'x') // takes the inode, should it be free already
    expect(findWriters([onDisk('run00013.mid')]).size).toBe(0)
  })

  test('a write lock is found in /proc/locks', async () => {
    const locked = onDisk('run00014.mid')
    await holding('r', locked.path, true)
    expect(findWriters([locked]).size).toBe(1)
  })
})
