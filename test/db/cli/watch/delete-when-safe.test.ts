import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, describe, expect, test } from 'vitest'
import { pushFile } from '../../../../cli/push/push-file.ts'
import { type DeletionContext, deleteWhenSafe } from '../../../../cli/watch/delete-when-safe.ts'
import { type DeletionLog, openDeletionLog } from '../../../../cli/watch/deletion-log.ts'
import type { SafetyAnswer, SafetyPort } from '../../../../cli/watch/safety.ts'
import { scanFolder } from '../../../../cli/watch/scan.ts'
import { createFixture, MIB, options } from '../../../support/cli/push/fixture.ts'

const fixture = await createFixture()
const data = join(fixture.folder, 'data')
const logPath = join(fixture.folder, 'deletions.jsonl')
mkdirSync(data)
afterAll(() => fixture.close())

const PERMISSION = { id: 7, reason: 'two copies are verified', isOver: () => false }
/** The reports of a catalogue that ignores them. */
const noReports = {
  endRemoval: async () => {},
  reportPresent: async () => false,
  reportVanished: async () => false,
}
const SAFE: SafetyAnswer = { safe: true, reason: 'two copies are verified' }
const UNSAFE: SafetyAnswer = { safe: false, reason: 'the copy on tape is in progress' }

/**
 * A catalogue that returns these answers one after the other, then always the last one. `before` is called before a
 * file is removed.
 */
function answering(answers: readonly SafetyAnswer[], before: () => void = () => {}): SafetyPort {
  const left = [...answers]
  const next = async () => (left.length > 1 ? left.shift() : left[0]) ?? UNSAFE
  return {
    safetyOf: next,
    async removeWhenSafe(_file, remove) {
      const answer = await next()
      before()
      if (answer.safe) await remove(PERMISSION)
      return answer
    },
    ...noReports,
  }
}

const tools = (safety: SafetyPort, more: Partial<DeletionContext> = {}): DeletionContext => ({
  s3: fixture.s3,
  safety,
  log: openDeletionLog(logPath),
  partSizeBytes: options.partSizeBytes,
  now: () => new Date(),
  signal: fixture.context.signal,
  ...more,
})

let lastRun = 0
/** A file that is in the store. */
async function pushedFile(sizeBytes = 2000) {
  const name = `run${String(++lastRun).padStart(5, '0')}.mid.gz`
  const { path, bytes } = fixture.file(join('data', name), sizeBytes)
  const target = { bucket: fixture.bucket, key: `LNGS/${name}` }
  const { sha256, md5, adler32 } = await pushFile(path, target, options, fixture.context)
  const { files } = await scanFolder(data, 'LNGS')
  const found = files.find((file) => file.name === name)
  if (found === undefined || sha256 === null) throw new Error(`${name} was not pushed`)
  return { name, path, bytes, target, found, md5, adler32, known: { ...target, sha256 } }
}
const logged = (path: string) =>
  (existsSync(logPath) ? readFileSync(logPath, 'utf8') : '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { readonly path: string; readonly state: string })
    .filter((line) => line.path === path)
    .map(({ state }) => state)

describe('a file that is verified in the store and on tape', () => {
  test.each([1, 2000, 6 * MIB])(
    'of %i bytes is removed, and that is written down before and after',
    async (size) => {
      const { path, found, known } = await pushedFile(size)
      expect(await deleteWhenSafe(found, known, tools(answering([SAFE])))).toMatchObject({
        kind: 'deleted',
        sha256: known.sha256,
        warning: null,
      })
      expect(existsSync(path)).toBe(false)
      expect(logged(path)).toEqual(['intended', 'deleted', 'told'])
    },
  )

  test('a file is checked by the SHA-256 of its present bytes on the disk', async () => {
    const { found, known } = await pushedFile()
    const checks: string[] = []
    const safety: SafetyPort = {
      ...answering([SAFE]),
      async removeWhenSafe({ sha256, sizeBytes, path }) {
        checks.push(sha256, String(sizeBytes), path)
        return UNSAFE
      },
    }
    await deleteWhenSafe(found, known, tools(safety))
    expect(checks).toEqual([known.sha256, '2000', found.path])
  })

  test('a hard link to a removed file is kept', async () => {
    const { path, found, known } = await pushedFile()
    linkSync(path, `${path}.kept`)
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE])))).toMatchObject({ kind: 'deleted' })
    expect(statSync(`${path}.kept`).size).toBe(2000)
  })
})

describe('files that are kept', () => {
  test('a file is kept while the catalogue refuses, before or after its bytes are read', async () => {
    for (const answers of [[UNSAFE], [SAFE, UNSAFE]]) {
      const { path, found, known } = await pushedFile()
      expect(await deleteWhenSafe(found, known, tools(answering(answers)))).toEqual({
        kind: 'kept',
        reason: UNSAFE.reason,
      })
      expect(existsSync(path)).toBe(true)
      expect(logged(path)).toEqual([])
    }
  })

  test('a file is kept while the catalogue does not answer', async () => {
    const { path, found, known } = await pushedFile()
    const down = async () => {
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    }
    const unreachable: SafetyPort = { ...noReports, safetyOf: down, removeWhenSafe: down }
    for (const safety of [unreachable, { ...answering([SAFE]), removeWhenSafe: down }])
      expect(await deleteWhenSafe(found, known, tools(safety))).toMatchObject({
        kind: 'failed',
        with: 'others',
      })
    expect(existsSync(path)).toBe(true)
  })

  test('a file is kept when its bytes differ from those that were sent, although its size and date are the same', async () => {
    const { path, found, known, bytes } = await pushedFile()
    const { atime, mtime } = statSync(path)
    writeFileSync(path, Buffer.from(bytes).fill(0, 100, 101).fill(1, 101, 102))
    utimesSync(path, atime, mtime)
    const now = (await scanFolder(data, 'LNGS')).files.find(({ name }) => name === found.name) ?? found
    expect(await deleteWhenSafe(now, known, tools(answering([SAFE])))).toMatchObject({
      kind: 'failed',
      with: 'file',
      reason: expect.stringContaining('is the disk failing?'),
    })
    expect(existsSync(path)).toBe(true)
  })

  test('a file is kept when its object is missing in the store, whatever the catalogue has', async () => {
    const { path, found, known, target } = await pushedFile()
    await fixture.s3.send(new DeleteObjectCommand({ Bucket: target.bucket, Key: target.key }))
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE])))).toMatchObject({
      kind: 'kept',
      reason: expect.stringContaining('missing'),
    })
    expect(existsSync(path)).toBe(true)
  })

  test('a file is kept when its key has another object', async () => {
    const { path, found, known, target } = await pushedFile()
    await fixture.s3.send(
      new PutObjectCommand({ Bucket: target.bucket, Key: target.key, Body: Buffer.alloc(2000) }),
    )
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE])))).toMatchObject({
      kind: 'kept',
      reason: expect.stringContaining('cannot be compared'),
    })
    expect(existsSync(path)).toBe(true)
    await fixture.s3.send(
      new PutObjectCommand({ Bucket: target.bucket, Key: target.key, Body: Buffer.alloc(2001) }),
    )
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE])))).toMatchObject({
      kind: 'failed',
      with: 'file',
    })
    expect(existsSync(path)).toBe(true)
  })

  const changes: readonly (readonly [string, (path: string) => void])[] = [
    ['grows', (path) => appendFileSync(path, 'more')],
    ['is touched', (path) => utimesSync(path, 1e9, 1e9)],
    [
      'is replaced by another with the same date and size',
      (path) => {
        const { atime, mtime, size } = statSync(path)
        writeFileSync(`${path}.new`, Buffer.alloc(size, 7))
        utimesSync(`${path}.new`, atime, mtime)
        renameSync(`${path}.new`, path)
      },
    ],
  ]
  test.each(changes)('when it %s in the moment before it would go', async (_, change) => {
    const { path, found, known } = await pushedFile()
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE], () => change(path))))).toMatchObject({
      kind: 'kept',
      reason: 'it has just changed, or was removed',
    })
    expect(existsSync(path)).toBe(true)
    expect(logged(path)).toEqual(['intended', 'not-deleted'])
  })

  test.each(changes)('when it %s after it was found', async (_, change) => {
    const { path, found, known } = await pushedFile()
    change(path)
    expect((await deleteWhenSafe(found, known, tools(answering([SAFE])))).kind).toBe('kept')
    expect(existsSync(path)).toBe(true)
  })

  test('a file is kept when the log of deletions cannot be written', async () => {
    const { path, found, known } = await pushedFile()
    const log = {
      unreported: async () => [],
      append() {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      },
    }
    expect(await deleteWhenSafe(found, known, tools(answering([SAFE]), { log }))).toMatchObject({
      kind: 'failed',
      with: 'file',
    })
    expect(existsSync(path)).toBe(true)
  })

  test('a file that cannot be removed from its folder is kept, and this is reported', async () => {
    const { path, found, known } = await pushedFile()
    const isRoot = process.getuid?.() === 0
    const forbid = () => {
      chmodSync(data, 0o555)
      if (isRoot) process.seteuid?.(65534)
    }
    chmodSync(fixture.folder, 0o755)
    writeFileSync(logPath, existsSync(logPath) ? readFileSync(logPath) : '')
    chmodSync(logPath, 0o666)
    const deletion = await deleteWhenSafe(found, known, tools(answering([SAFE], forbid))).finally(() => {
      if (isRoot) process.seteuid?.(0)
      chmodSync(data, 0o755)
    })
    expect(deletion).toMatchObject({
      kind: 'failed',
      with: 'file',
      reason: expect.stringMatching(/cannot be removed: E(ACCES|PERM|ROFS)/),
    })
    expect(existsSync(path)).toBe(true)
  })

  test('a file is kept when the work is interrupted', async () => {
    const { path, found, known } = await pushedFile()
    expect(
      await deleteWhenSafe(
        found,
        known,
        tools(answering([SAFE]), { signal: AbortSignal.abort(new Error('stop')) }),
      ),
    ).toMatchObject({
      kind: 'kept',
    })
    expect(existsSync(path)).toBe(true)
  })
})

describe('a permission with a limited time', () => {
  /** The log is shared by all tests of this file. */
  const unreported = async (log: DeletionLog, path: string) =>
    (await log.unreported()).filter((record) => record.path === path)
  const permitting = (isOver: () => boolean): SafetyPort => ({
    ...answering([SAFE]),
    async removeWhenSafe(_file, remove) {
      await remove({ id: 7, reason: 'verified just now', isOver })
      return SAFE
    },
  })

  test('the id of the permission is on the disk before the file is removed, and the log records the report of its outcome', async () => {
    const { path, found, known } = await pushedFile()
    const { log } = tools(answering([SAFE]))
    const unfinished: unknown[] = []
    const isOver = () => {
      unfinished.push(logged(path))
      return false
    }
    expect(await deleteWhenSafe(found, known, tools(permitting(isOver), { log }))).toMatchObject({
      kind: 'deleted',
      warning: null,
    })
    expect(unfinished).toEqual([['intended']])
    expect(logged(path)).toEqual(['intended', 'deleted', 'told'])
    expect(await unreported(log, path)).toEqual([])
  })

  test('a file is kept when the permission expires in the last moment, e.g. on a disk that takes minutes to write a line', async () => {
    const { path, found, known } = await pushedFile()
    const { log } = tools(answering([SAFE]))
    expect(
      await deleteWhenSafe(
        found,
        known,
        tools(
          permitting(() => true),
          { log },
        ),
      ),
    ).toMatchObject({ kind: 'kept', reason: expect.stringContaining('too late') })
    expect(existsSync(path)).toBe(true)
    expect(logged(path)).toEqual(['intended', 'not-deleted'])
    expect(await unreported(log, path)).toMatchObject([{ permission: 7, state: 'not-deleted', path }])
    expect(await unreported(openDeletionLog(logPath), path)).toMatchObject([
      { permission: 7, state: 'not-deleted', path },
    ])
  })
})

test('a removed file counts as deleted, with a warning, when the catalogue does not get the report', async () => {
  const { path, found, known } = await pushedFile()
  const safety: SafetyPort = {
    ...answering([SAFE]),
    async removeWhenSafe(_file, remove) {
      await remove(PERMISSION)
      throw new Error('the database went away')
    },
  }
  expect(await deleteWhenSafe(found, known, tools(safety))).toMatchObject({
    kind: 'deleted',
    warning: expect.stringContaining('went away'),
  })
  expect(existsSync(path)).toBe(false)
})
