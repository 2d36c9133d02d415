/**
 * The files on tape: what is done to them by others than drivers, and whether drivers ever touched one that
 * was there.
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
import { sha256Of, type Truth } from './truth.ts'

export interface TapeFolder {
  has(name: string): boolean
  /**
   * Called when a driver may have put a file there; one that is new is on the medium at once, or on a disk
   * buffer.
   */
  noteNew(name: string, onMedia: boolean): void
  /** A file of others has the name from now on. */
  plant(name: string): void
  damage(name: string): void
  remove(name: string): void
  /** What a process that is killed while it writes leaves behind. */
  leavePart(file: TapeFile): void
  /** What is not as it was, though nobody but drivers was at it. */
  inspect(): readonly string[]
}

const PART = /^\.cygnet-\d+-[0-9a-f]{12}\.part$/

/** @param folder is emptied. */
export function createTapeFolder(folder: string, truth: Truth): TapeFolder {
  for (const entry of readdirSync(folder)) rmSync(join(folder, entry), { recursive: true })
  const inodes = new Map<string, number>()
  const path = (name: string) => join(folder, name)
  const contentsOf = (name: string) => (existsSync(path(name)) ? sha256Of(readFileSync(path(name))) : null)

  function note(name: string, onMedia: boolean): void {
    const sha256 = contentsOf(name)
    truth.note(`tape/${name}`, sha256)
    truth.note(`media/${name}`, onMedia ? sha256 : null)
    if (sha256 === null) inodes.delete(name)
    else inodes.set(name, statSync(path(name)).ino)
  }

  return {
    has: (name) => existsSync(path(name)),
    noteNew(name, onMedia) {
      if (existsSync(path(name)) && !inodes.has(name)) note(name, onMedia)
    },
    plant(name) {
      mkdirSync(dirname(path(name)), { recursive: true })
      writeFileSync(path(name), 'other bytes')
      note(name, true)
    },
    damage(name) {
      chmodSync(path(name), 0o640)
      writeFileSync(path(name), Buffer.concat([readFileSync(path(name)), Buffer.from('!')]))
      note(name, true)
    },
    remove(name) {
      rmSync(path(name))
      note(name, false)
    },
    leavePart({ name, runNumber }) {
      mkdirSync(dirname(path(name)), { recursive: true })
      writeFileSync(
        join(dirname(path(name)), `.cygnet-${runNumber}-${randomBytes(6).toString('hex')}.part`),
        'half of it',
      )
    },
    inspect() {
      const names = new Set([...filesBelow(folder), ...truth.locations('tape')])
      return [...names].flatMap((name) => {
        const [was, is] = [truth.now(`tape/${name}`), contentsOf(name)]
        if (is !== was) return [`${name} on tape was ${was}, and is ${is}`]
        return is !== null && inodes.get(name) !== statSync(path(name)).ino
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
