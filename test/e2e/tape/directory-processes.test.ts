/**
 * Several processes that write to one folder, also killed ones, as on a tape mount with several writers.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { freshName } from '../../support/tape/files.ts'

const execute = promisify(execFile)
const COPIER = fileURLToPath(new URL('../../support/tape/directory-copier.ts', import.meta.url))

describe.each([
  ['with hard links', []],
  ['without hard links', ['no-links']],
] as const)('a folder %s', (_, flags) => {
  const folders: string[] = []
  let folder = ''
  let name = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cygnet-tape-'))
    folders.push(folder)
    name = freshName()
  })
  afterAll(() => {
    for (const made of folders) rmSync(made, { recursive: true, force: true })
  })
  const start = (seed: string, ...more: readonly string[]) => {
    const child = spawn(process.execPath, [COPIER, folder, name, seed, ...flags, ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    return { child, output: text(child.stdout) }
  }
  const copy = async (seed: string) => (await start(seed).output).trim().split('\n').at(-1)
  const inFolder = () => readdirSync(join(folder, dirname(name)))

  it('a folder accepts one file from many processes at the same time', async () => {
    const outcomes = await Promise.all(['a', 'a', 'a', 'a'].map(copy))
    for (const outcome of outcomes)
      expect(outcome).toMatch(/^stored$|^TransientError: .*being given this name/)
    expect(outcomes).toContain('stored')
    expect(readFileSync(join(folder, name)).equals(Buffer.alloc(2_000_000, 'a'))).toBe(true)
    expect(inFolder()).toEqual(['run12345.mid.gz'])
  })

  it('when many processes write different contents to one name, one of them succeeds', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map(copy))
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(1)
    for (const outcome of outcomes)
      expect(outcome).toMatch(/^stored$|^occupied$|^TransientError: .*being given this name/)
    const winner = 'abcd'[outcomes.indexOf('stored')] ?? ''
    expect(readFileSync(join(folder, name)).equals(Buffer.alloc(2_000_000, winner))).toBe(true)
    expect(inFolder()).toEqual(['run12345.mid.gz'])
  })

  it('when a process is killed during a copy, the name has no file, and the next copy succeeds', async () => {
    const { child, output } = start('a', 'hangs')
    await new Promise<void>((resolve) =>
      child.stdout.on('data', (chunk) => String(chunk).includes('half-way') && resolve()),
    )
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    expect(await output).not.toContain('stored')
    expect(existsSync(join(folder, name))).toBe(false)
    expect(await copy('a')).toBe('stored')
    expect(readFileSync(join(folder, name)).equals(Buffer.alloc(2_000_000, 'a'))).toBe(true)
  })

  it('a folder that is full or read-only is reported, and no file is left in it', async (context) => {
    // A file system of one megabyte, visible only to this process.
    const inside = (options: string) =>
      execute('unshare', [
        '--user',
        '--map-root-user',
        '--mount',
        'sh',
        '-c',
        `mount -t tmpfs -o ${options} tmpfs "$0" && "$@"; find "$0" -type f`,
        folder,
        process.execPath,
        COPIER,
        folder,
        name,
        'a',
        ...flags,
      ])
    const full = await inside('size=1m').catch(() => null)
    if (full === null)
      return context.skip('needs unshare with user namespaces, to mount a small file system for itself')
    expect(full.stdout).toMatch(/^half-way\nTransientError: .*no space left \(ENOSPC\)\n$/)
    expect((await inside('ro')).stdout).toMatch(/^TransientError: .*mounted read-only \(EROFS\)\n$/)
  })
})
