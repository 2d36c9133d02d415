import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDeletionLog } from '../../../../cli/watch/deletion-log.ts'
import { type JournalEntry, openJournal } from '../../../../cli/watch/journal.ts'
import { foundFile } from '../../../support/cli/watch/found.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cygnet-journal-'))
  path = join(folder, 'journal.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const NOW = Date.parse('2026-05-01T12:00:00Z')
const DAY_MS = 86_400_000
const file = (name: string) => foundFile(name, { ino: 7n, sizeBytes: 10, written: 5 })
const entry = (name: string, more: Partial<JournalEntry> = {}): JournalEntry => ({
  name,
  state: 'pushed',
  folder: '2:5',
  ino: '7',
  sizeBytes: 10,
  mtimeNs: '5000000000',
  bucket: 'cygno-data',
  key: `LNGS/${name}`,
  md5: '',
  sha256: 'aa',
  adler32: '',
  at: new Date(NOW).toISOString(),
  isNoted: false,
  ...more,
})
const reopen = (present: readonly string[] = [], at = NOW) => openJournal(path, new Set(present), at)

describe('the journal', () => {
  test('the journal has the last entry of a version of a file after a restart, and none of another version', () => {
    const journal = reopen()
    expect(journal.write(entry('run1.mid'))).toBe(true)
    expect(journal.write(entry('run1.mid', { isNoted: true }))).toBe(true)
    expect(reopen(['run1.mid']).find('run1.mid', file('run1.mid'))).toEqual(
      entry('run1.mid', { isNoted: true }),
    )
    const others = [{ ino: 8n }, { sizeBytes: 11 }, { written: 6 }].map((more) =>
      foundFile('run1.mid', { ino: 7n, sizeBytes: 10, written: 5, ...more }),
    )
    for (const other of others) expect(reopen(['run1.mid']).find('run1.mid', other)).toBeNull()
  })

  test('a journal that a kill has cut anywhere loses at most the last line, and the next line is complete', () => {
    const lines = [entry('run1.mid'), entry('run2.mid')].map((one) => `${JSON.stringify(one)}\n`).join('')
    for (let length = 0; length <= lines.length; length += 7) {
      writeFileSync(path, lines)
      truncateSync(path, length)
      reopen(['run1.mid', 'run2.mid', 'run3.mid']).write(entry('run3.mid'))
      const again = reopen(['run1.mid', 'run2.mid', 'run3.mid'])
      expect(again.find('run3.mid', file('run3.mid'))).not.toBeNull()
      if (length >= JSON.stringify(entry('run1.mid')).length)
        expect(again.find('run1.mid', file('run1.mid'))).not.toBeNull()
    }
  })

  test('damaged lines of the journal are ignored', () => {
    writeFileSync(path, `\0\0{"name":1}\n${JSON.stringify(entry('run1.mid'))}\nnot json\n{}\n`)
    expect(reopen(['run1.mid']).find('run1.mid', file('run1.mid'))).not.toBeNull()
  })

  test('on a full disk the journal continues in memory, and returns that it was not written', () => {
    const journal = reopen()
    symlinkSync('/dev/full', path)
    expect(journal.write(entry('run1.mid'))).toBe(false)
    expect(journal.find('run1.mid', file('run1.mid'))).not.toBeNull()
  })

  test('a journal with many superseded lines is rewritten without them', () => {
    const journal = reopen()
    for (let count = 0; count < 100; count++) journal.write(entry('run1.mid'))
    journal.write(entry('run2.mid', { state: 'deleted' }))
    const long = statSync(path).size
    reopen(['run1.mid'])
    expect(statSync(path).size).toBeLessThan(long / 50)
    expect(readFileSync(path, 'utf8')).not.toContain('run2')
  })

  test('files that were reported as present are kept in the journal until their removal is reported', () => {
    reopen().write(entry('run1.mid', { isNoted: true }))
    const later = reopen([], NOW + 400 * DAY_MS)
    expect(later.noted()).toEqual([entry('run1.mid', { isNoted: true })])
    later.write(entry('run1.mid', { isNoted: true, state: 'gone' }))
    expect(later.noted()).toEqual([])
    expect(reopen([], NOW).last('run1.mid')).toBeNull()
  })

  test.each(['deleted', 'gone'] as const)(
    'the entry of a file that is back after it was %s states that it is in the store, and has to be reported',
    (state) => {
      reopen().write(entry('run1.mid', { isNoted: true, state }))
      const journal = reopen(['run1.mid'])
      expect(journal.find('run1.mid', file('run1.mid'))).toEqual(entry('run1.mid', { isNoted: false }))
      expect(journal.last('run1.mid')).toMatchObject({ state })
    },
  )

  test('files of an unmounted disk are kept in the journal for three months', () => {
    reopen().write(entry('run1.mid'))
    for (let times = 0; times < 3; times++)
      expect(reopen([], NOW + 80 * DAY_MS).find('run1.mid', file('run1.mid'))).not.toBeNull()
    expect(reopen([], NOW + 100 * DAY_MS).find('run1.mid', file('run1.mid'))).toBeNull()
  })
})

describe('the log of deletions', () => {
  test('the log of deletions has the unreported removals, also those of a killed process', async () => {
    const begun = (
      permission: number,
      state: 'intended' | 'deleted' | 'not-deleted' | 'told' = 'intended',
    ) => ({
      ...record,
      permission,
      state,
    })
    const log = openDeletionLog(path)
    log.append(record)
    for (const line of [
      begun(1),
      begun(1, 'deleted'),
      begun(1, 'told'),
      begun(2),
      begun(3),
      begun(3, 'deleted'),
    ])
      log.append(line)
    const open = [begun(2), begun(3, 'deleted')]
    expect(await log.unreported()).toEqual(open)
    appendFileSync(path, JSON.stringify(begun(4)).slice(0, -5))
    const again = openDeletionLog(path)
    expect(await again.unreported()).toEqual(open)
    again.append(begun(2, 'told'))
    again.append(begun(5))
    expect(await again.unreported()).toEqual([begun(3, 'deleted'), begun(5)])
    expect(await openDeletionLog(path).unreported()).toEqual([begun(3, 'deleted'), begun(5)])
  })

  const record = {
    at: '',
    state: 'intended',
    path: '/data/run1.mid',
    bucket: 'b',
    key: 'k',
    sizeBytes: 1,
    sha256: 'aa',
    why: '',
  } as const

  test('the log of deletions is never truncated', () => {
    openDeletionLog(path).append(record)
    openDeletionLog(path).append({ ...record, state: 'deleted' })
    const states = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).state)
    expect(states).toEqual(['intended', 'deleted'])
  })

  test('the log of deletions has reserved space on a full disk, so that files can be removed from it', () => {
    let isFull = true
    const log = openDeletionLog(path, (target, line, options) => {
      if (isFull && existsSync(`${path}.reserve`))
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      appendFileSync(target, line, options)
    })
    expect(statSync(`${path}.reserve`).size).toBeGreaterThan(100_000)
    log.append(record)
    expect(readFileSync(path, 'utf8')).toContain('intended')
    isFull = false
    log.append({ ...record, state: 'deleted' })
    expect(statSync(`${path}.reserve`).size).toBeGreaterThan(100_000)
  })

  test('a log of deletions that cannot be written throws', () => {
    symlinkSync('/dev/full', path)
    expect(() => openDeletionLog(path).append(record)).toThrow('ENOSPC')
  })
})
