/**
 * The files on tape: the acts of external actors on them, and the check that drivers never touch an existing
 * file.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { TapeFile } from '../../shared/tape/driver.ts'
import { type GroundTruth, sha256Of } from './ground-truth.ts'

export interface TapeFolder {
  has(name: string): boolean
  /**
   * Records a file that a driver may have written, on the medium or on a disk buffer. Known files are
   * ignored.
   */
  recordNew(name: string, onMedia: boolean): void
  /** Writes a file with other bytes under the name. */
  putForeignFile(name: string): void
  damage(name: string): void
  remove(name: string): void
  /** Leaves the partial file of a process that was killed while it wrote. */
  leavePartialFile(file: TapeFile): void
  /** Describes changes of existing files that no external actor made. */
  inspect(): readonly string[]
}

const PART = /^\.cygnet-\d+-[0-9a-f]{12}\.part$/

/** @param folder is emptied first. */
export function createTapeFolder(folder: string, groundTruth: GroundTruth): TapeFolder {
  for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true })
  const inodes = new Map<string, number>()
  const path = (name: string) => join(folder, name)
  const contentsOf = (name: string) => (existsSync(path(name)) ? sha256Of(readFileSync(path(name))) : null)

  function recordFile(name: string, onMedia: boolean): void {
    const sha256 = contentsOf(name)
    groundTruth.record(`tape/${name}`, sha256)
    groundTruth.record(`media/${name}`, onMedia ? sha256 : null)
    if (sha256 === null) inodes.delete(name)
    else inodes.set(name, statSync(path(name)).ino)
  }

  return {
    has: (name) => existsSync(path(name)),
    recordNew(name, onMedia) {
      if (existsSync(path(name)) && !inodes.has(name)) recordFile(name, onMedia)
    },
    putForeignFile(name) {
      mkdirSync(dirname(path(name)), { recursive: true })
      writeFileSync(path(name), 'other bytes')
      recordFile(name, true)
    },
    damage(name) {
      chmodSync(path(name), 0o640)
      writeFileSync(path(name), Buffer.concat([readFileSync(path(name)), Buffer.from('!')]))
      recordFile(name, true)
    },
    remove(name) {
      rmSync(path(name))
      recordFile(name, false)
    },
    leavePartialFile({ name, runNumber }) {
      mkdirSync(dirname(path(name)), { recursive: true })
      writeFileSync(
        join(dirname(path(name)), `.cygnet-${runNumber}-${randomBytes(6).toString('hex')}.part`),
        'half of it',
      )
    },
    inspect() {
      const names = new Set([...filesBelow(folder), ...groundTruth.locations('tape')])
      return [...names].flatMap((name) => {
        const [before, now] = [groundTruth.now(`tape/${name}`), contentsOf(name)]
        if (now !== before) return [`${name} on tape changed from ${before} to ${now}`]
        return now !== null && inodes.get(name) !== statSync(path(name)).ino
          ? [`${name} on tape was replaced by another file`]
          : []
      })
    },
  }
}

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !PART.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
