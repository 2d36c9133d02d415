/**
 * Copies in a folder: the promises of every driver, with and without hard links, and what only file systems
 * do.
 */
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { translated } from '../../../shared/tape/directory/errors.ts'
import { claimName, type HardLink } from '../../../shared/tape/directory/temporary.ts'
import { driverConformance } from '../../support/tape/conformance.ts'
import { freshName, tapeFileOf } from '../../support/tape/files.ts'
import type { DriverFixture } from '../../support/tape/fixture.ts'
import { memorySource } from '../../support/tape/sources.ts'

const made: string[] = []
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-tape-'))
  made.push(folder)
  return folder
}

const errno = (code: string) =>
  Object.assign(new Error(`${code}: made by the test`), { code, syscall: 'link' })
const noHardLinks: HardLink = () => Promise.reject(errno('EPERM'))

async function makeFixture(hardLink?: HardLink): Promise<DriverFixture> {
  const folder = newFolder()
  return {
    driver: createDirectoryDriver({ folder, ...(hardLink === undefined ? {} : { hardLink }) }),
    async plant(name, bytes) {
      const path = join(folder, name)
      mkdirSync(dirname(path), { recursive: true })
      rmSync(path, { force: true })
      writeFileSync(path, bytes)
    },
    bytesAt: async (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name)) : null),
    settle: async () => {},
    makeSource: memorySource,
    close: async () => {},
  }
}

driverConformance('directory', () => makeFixture())
driverConformance('directory without hard links', () => makeFixture(noHardLinks))

const never = new AbortController().signal
const once = { attempt: 1 }

describe('a folder of copies', () => {
  const place = () => {
    const folder = newFolder()
    return { folder, driver: createDirectoryDriver({ folder }) }
  }

  it('has read-only copies', async () => {
    const { folder, driver } = place()
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    await driver.copy(file, memorySource(file.name, bytes), once, never)
    expect(lstatSync(join(folder, file.name)).mode & 0o777).toBe(0o440)
  })

  it('is never created by us: a missing mount is reported, and nothing is written to the disk below it', async () => {
    const { folder } = place()
    const missing = join(folder, 'not-mounted')
    const driver = createDirectoryDriver({ folder: missing })
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    await expect(driver.copy(file, memorySource(file.name, bytes), once, never)).rejects.toThrow(
      /is it mounted/,
    )
    await expect(driver.check(file, { reference: null, readBack: 'never' }, never)).rejects.toThrow(
      TransientError,
    )
    await expect(driver.stage(file, { reference: null, lifetimeSeconds: 1 }, never)).rejects.toThrow(
      TransientError,
    )
    await expect(Array.fromAsync(driver.read(file, never))).rejects.toThrow(TransientError)
    expect(existsSync(missing)).toBe(false)
  })

  it.each(['absolute', 'relative'])('is not left through an %s symbolic link', async (kind) => {
    const { folder, driver } = place()
    const outside = newFolder()
    symlinkSync(
      kind === 'absolute' ? outside : join('..', outside.split('/').at(-1) ?? ''),
      join(folder, 'cygno-data'),
    )
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    await expect(driver.copy(file, memorySource(file.name, bytes), once, never)).rejects.toThrow(
      /leads out of it/,
    )
    expect(readdirSync(outside)).toEqual([])
    mkdirSync(dirname(join(folder, file.name)), { recursive: true })
    writeFileSync(join(folder, file.name), bytes)
    await expect(Array.fromAsync(driver.read(file, never))).rejects.toThrow(/leads out of it/)
    expect(await Array.fromAsync(driver.list?.('', never) ?? [])).toEqual([])
  })

  it('may have links to folders of its own', async () => {
    const { folder, driver } = place()
    mkdirSync(join(folder, 'volume7'))
    symlinkSync('volume7', join(folder, 'cygno-data'))
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    await driver.copy(file, memorySource(file.name, bytes), once, never)
    expect(readFileSync(join(folder, file.name.replace('cygno-data', 'volume7')))).toEqual(bytes)
  })

  it.each(['link', 'folder'])('a %s under the name is other contents', async (kind) => {
    const { folder, driver } = place()
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    mkdirSync(dirname(join(folder, file.name)), { recursive: true })
    writeFileSync(join(folder, 'good'), bytes)
    if (kind === 'link') symlinkSync(join(folder, 'good'), join(folder, file.name))
    else mkdirSync(join(folder, file.name))
    expect(await driver.check(file, { reference: null, readBack: 'always' }, never)).toMatchObject({
      kind: 'different',
    })
    expect(await driver.copy(file, memorySource(file.name, bytes), once, never)).toMatchObject({
      kind: 'occupied',
    })
  })

  it('loses temporary files of a crash with the next copy into the same folder, but not those of a copy in progress', async () => {
    const { folder, driver } = place()
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    const inFolder = (name: string) => join(folder, dirname(file.name), name)
    mkdirSync(inFolder('.'), { recursive: true })
    const names = ['.cygnet-12345-0123456789ab.part', '.cygnet-12345-ba9876543210.part', '.cygnet-notes.part']
    for (const name of names) writeFileSync(inFolder(name), bytes)
    for (const name of [names[0], names[2]])
      utimesSync(inFolder(name ?? ''), Date.now() / 1000, Date.now() / 1000 - 7200)
    await driver.copy(file, memorySource(file.name, bytes), once, never)
    expect(readdirSync(inFolder('.')).sort()).toEqual([names[1], names[2], 'run12345.mid.gz'])
  })

  it('a copy whose temporary was swept away ends without harm', async () => {
    const { folder, driver } = place()
    const bytes = randomBytes(100)
    const file = await tapeFileOf(bytes)
    const source = memorySource(file.name, bytes)
    const sweeping = {
      ...source,
      async *open(signal: AbortSignal) {
        const parent = join(folder, dirname(file.name))
        for (const name of readdirSync(parent)) rmSync(join(parent, name))
        yield* source.open(signal)
      },
    }
    await expect(driver.copy(file, sweeping, once, never)).rejects.toThrow(TransientError)
    expect(existsSync(join(folder, file.name))).toBe(false)
  })

  it('a name taken while the bytes came is not taken over', async () => {
    for (const hardLink of [undefined, noHardLinks]) {
      const folder = newFolder()
      const driver = createDirectoryDriver({ folder, ...(hardLink === undefined ? {} : { hardLink }) })
      const bytes = randomBytes(100)
      const file = await tapeFileOf(bytes)
      const source = memorySource(file.name, bytes)
      const racing = {
        ...source,
        async *open(signal: AbortSignal) {
          writeFileSync(join(folder, file.name), 'somebody else')
          yield* source.open(signal)
        },
      }
      expect(await driver.copy(file, racing, once, never)).toMatchObject({ kind: 'occupied' })
      expect(readFileSync(join(folder, file.name), 'utf8')).toBe('somebody else')
    }
  })

  it('a new empty file with the name is a copy in progress; an old one is other contents', async () => {
    const { folder, driver } = place()
    const file = await tapeFileOf(randomBytes(100))
    const path = join(folder, file.name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, '', { mode: 0o200 })
    expect(await driver.check(file, { reference: null, readBack: 'never' }, never)).toMatchObject({
      kind: 'in-progress',
    })
    await expect(driver.copy(file, memorySource(file.name, randomBytes(100)), once, never)).rejects.toThrow(
      TransientError,
    )
    const later = createDirectoryDriver({ folder, now: () => Date.now() + 120_000 })
    expect(await later.check(file, { reference: null, readBack: 'never' }, never)).toMatchObject({
      kind: 'different',
    })
    expect(await later.copy(file, memorySource(file.name, randomBytes(100)), once, never)).toMatchObject({
      kind: 'occupied',
    })
  })

  it('gives up a name it holds when the file cannot be moved there', async () => {
    const folder = newFolder()
    const path = join(folder, 'run1.mid')
    await expect(claimName(join(folder, 'vanished'), path, noHardLinks)).rejects.toThrow(/ENOENT/)
    expect(readdirSync(folder)).toEqual([])
  })

  it('is listed from a prefix that ends within a name', async () => {
    const { driver } = place()
    const bytes = randomBytes(10)
    const name = freshName()
    for (const end of ['run10.mid', 'run11.mid', 'run2.mid']) {
      const file = await tapeFileOf(bytes, name.replace('run12345.mid.gz', end))
      await driver.copy(file, memorySource(file.name, bytes), once, never)
    }
    const listed = await Array.fromAsync(driver.list?.(name.replace('run12345.mid.gz', 'run1'), never) ?? [])
    expect(listed.map((entry) => entry.name.split('/').at(-1)).sort()).toEqual(['run10.mid', 'run11.mid'])
  })

  it('that moves away under our hands is a matter for people, never a lost run', async () => {
    const { folder, driver } = place()
    const bytes = randomBytes(3_000_000)
    const file = await tapeFileOf(bytes)
    const source = memorySource(file.name, bytes)
    const unmounting = {
      ...source,
      async *open(signal: AbortSignal) {
        yield* source.open(signal)
        renameSync(folder, `${folder}-away`)
        made.push(`${folder}-away`)
      },
    }
    await expect(driver.copy(file, unmounting, once, never)).rejects.toThrow(TransientError)
    expect(existsSync(folder)).toBe(false)
  })

  it.each([
    ['ENOSPC', /no space left/, true],
    ['EDQUOT', /quota/, true],
    ['EROFS', /read-only/, true],
    ['ESTALE', /network file system/, true],
    ['EIO', /device failed/, false],
  ])('%s is reported as a sentence, and retried', (code, sentence, operator) => {
    const failure = translated('/tape/cygno', errno(code))
    expect(failure).toBeInstanceOf(TransientError)
    expect(failure.message).toMatch(sentence)
    expect(failure.message).toContain('/tape/cygno')
    expect(failure.details.operator).toBe(operator)
  })
})
