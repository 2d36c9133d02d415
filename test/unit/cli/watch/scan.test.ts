import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { filesToKeep } from '../../../../cli/watch/keep.ts'
import { chooseNext } from '../../../../cli/watch/plan.ts'
import { scanFolder } from '../../../../cli/watch/scan.ts'
import { foundFile, HOUR_S } from '../../../support/cli/watch/found.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cygnet-scan-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const put = (...names: readonly string[]) => {
  for (const name of names) writeFileSync(join(folder, name), 'x')
}
const names = async () => (await scanFolder(folder, 'LNGS')).files.map(({ name }) => name)

describe('the files of a folder', () => {
  test('files are listed in the order of their numbers: five, six and seven digits, and subruns', async () => {
    put(
      'run1000000.mid.gz',
      'run100000.mid.gz',
      'run99999.mid.gz',
      'run00002sub0010.mid',
      'run00002sub0009.mid',
      'run00002.mid.lz4',
    )
    expect(await names()).toEqual([
      'run00002.mid.lz4',
      'run00002sub0009.mid',
      'run00002sub0010.mid',
      'run99999.mid.gz',
      'run100000.mid.gz',
      'run1000000.mid.gz',
    ])
  })

  test('files have the identity of their folder, which changes only when another folder takes its place', async () => {
    put('run00001.mid')
    const before = await scanFolder(folder, 'LNGS')
    put('run00002.mid')
    rmSync(join(folder, 'run00001.mid'))
    const after = await scanFolder(folder, 'LNGS')
    expect([after.folder, after.files[0]?.folder]).toEqual([before.folder, before.folder])
    renameSync(folder, `${folder}-aside`)
    mkdirSync(folder)
    expect((await scanFolder(folder, 'LNGS')).folder).not.toBe(before.folder)
    expect((await scanFolder(`${folder}-aside`, 'LNGS')).folder).toBe(before.folder)
    rmSync(`${folder}-aside`, { recursive: true })
  })

  test('all files are listed, also beyond the hundredth', async () => {
    put(...Array.from({ length: 250 }, (_, index) => `run${String(99_900 + index).padStart(5, '0')}.mid.gz`))
    expect((await names()).length).toBe(250)
  })

  test('only files of runs are listed: no hidden files, temporary files, sidecars or other names', async () => {
    put(
      '.run00001.mid.gz',
      'run00001.mid.gz.part',
      'run00001.mid.crc32c',
      'run00001.mid.gz~',
      'xrun00001.mid',
      'run00001.MID',
      'last.xml',
      'run.mid',
    )
    mkdirSync(join(folder, 'run00003'))
    expect(await scanFolder(folder, 'LNGS')).toMatchObject({ files: [], unreadable: [] })
  })

  test('links and folders are not listed as files, and the reason is returned', async () => {
    put('real')
    symlinkSync(join(folder, 'real'), join(folder, 'run00001.mid.gz'))
    mkdirSync(join(folder, 'run00002.mid.gz'))
    const { files, unreadable } = await scanFolder(folder, 'LNGS')
    expect(files).toEqual([])
    expect(unreadable).toEqual([
      { name: 'run00001.mid.gz', reason: expect.stringContaining('symbolic link') },
      { name: 'run00002.mid.gz', reason: 'it is not a file' },
    ])
  })

  test('a missing folder is reported with a sentence', async () => {
    await expect(scanFolder(join(folder, 'away'), 'LNGS')).rejects.toThrow(
      'there is no such folder (is its disk mounted?)',
    )
  })
})

test('one worker takes the newest file, the other the oldest, by their last write', () => {
  const files = [
    { file: foundFile('run00012.mid', { written: 300 }) },
    { file: foundFile('run99999.mid', { written: 200 }) },
    { file: foundFile('run00011.mid', { written: 100 }) },
  ]
  expect(chooseNext(files, 'newest')?.file.name).toBe('run00012.mid')
  expect(chooseNext(files, 'oldest')?.file.name).toBe('run00011.mid')
  expect(chooseNext([], 'oldest')).toBeNull()
})

describe('files that are kept on the disk', () => {
  const now = 1000 * HOUR_S
  const old = (name: string, hoursAgo: number) => foundFile(name, { written: now - hoursAgo * HOUR_S })

  test('all files of the newest runs are kept, by number and not by text', () => {
    const files = [
      old('run99998.mid', 50),
      old('run99999.mid', 49),
      old('run100000sub0000.mid', 48),
      old('run100000sub0001.mid', 47),
    ]
    expect([...filesToKeep(files, { newestRuns: 2, hours: 24 }, now * 1000).keys()]).toEqual([
      'run99999.mid',
      'run100000sub0000.mid',
      'run100000sub0001.mid',
    ])
  })

  test('the runs written last are also kept, where the numbers were restarted', () => {
    const files = [
      old('run90000.mid', 500),
      old('run90001.mid', 499),
      old('run00001.mid', 30),
      old('run00002.mid', 29),
    ]
    expect([...filesToKeep(files, { newestRuns: 1, hours: 24 }, now * 1000).keys()]).toEqual([
      'run90001.mid',
      'run00002.mid',
    ])
  })

  test('young files are kept, and those with a date in the future', () => {
    const files = [old('run00001.mid', 25), old('run00002.mid', 23), old('run00003.mid', -100)]
    expect([...filesToKeep(files, { newestRuns: 0, hours: 24 }, now * 1000).keys()]).toEqual([
      'run00002.mid',
      'run00003.mid',
    ])
  })
})
