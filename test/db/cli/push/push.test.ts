import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { deflateSync } from 'node:zlib'
import {
  AbortMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Command, CommanderError } from 'commander'
import { afterAll, describe, expect, test } from 'vitest'
import { register } from '../../../../cli/commands/push.ts'
import { planFiles } from '../../../../cli/push/plan.ts'
import { createPushClient } from '../../../../cli/push/push.ts'
import { pushFile } from '../../../../cli/push/push-file.ts'
import { openUploadState } from '../../../../cli/push/upload-state.ts'
import { identify } from '../../../../infra/local/identity.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { createMultipart, sendPart } from '../../../../shared/storage/multipart.ts'
import { multipartEtag } from '../../../../shared/storage/upload-layout.ts'
import { createFixture, digest, MIB, options } from '../../../support/cli/push/fixture.ts'
import { startSlowProxy } from '../../../support/cli/push/slow-proxy.ts'
import { until } from '../../../support/waiting.ts'

const fixture = await createFixture()
const { bucket, context } = fixture
const proxy = await startSlowProxy(fixture.store.connection.s3.endpoint)
afterAll(async () => {
  await proxy.close()
  fixture.close()
})

/** Computed independently: zlib ends its streams with it. */
const adler32 = (bytes: Uint8Array) => deflateSync(bytes, { level: 0 }).subarray(-4).toString('hex')
const md5sOfParts = (bytes: Uint8Array) =>
  Array.from({ length: Math.ceil(bytes.length / (5 * MIB)) }, (_, index) =>
    digest('md5', bytes.subarray(index * 5 * MIB, (index + 1) * 5 * MIB)),
  )
const isRoot = process.getuid?.() === 0
let lastRun = 100
/** A file with a run number that no other test uses. */
function newRun(sizeBytes: number) {
  const name = `run${String(++lastRun).padStart(5, '0')}.mid.gz`
  return { ...fixture.file(name, sizeBytes), key: `LNGS/${name}`, target: { bucket, key: `LNGS/${name}` } }
}
const throughProxy = () =>
  createPushClient(
    loadConfig({
      CYGNET_DATABASE_URL: 'mysql://none@localhost/none',
      ...fixture.store.environment,
      CYGNET_S3_ENDPOINT: proxy.endpoint,
    }),
  )

describe('a file that is pushed', () => {
  test('a pushed file is stored byte by byte, with its checksums as metadata', async () => {
    const { path, bytes, key } = newRun(300_000)
    const pushed = await fixture.push(['--tag', 'LNGS', path, '--json'])
    expect(pushed).toMatchObject({ code: 0, stderr: '' })
    const checksums = { md5: digest('md5', bytes), sha256: digest('sha256', bytes), adler32: adler32(bytes) }
    expect(pushed.results()).toEqual([
      expect.objectContaining({
        file: path,
        bucket,
        key,
        sizeBytes: 300_000,
        ...checksums,
        state: 'uploaded',
        error: null,
        sentBytes: 300_000,
      }),
    ])
    expect(pushed.results()[0]?.verifiedBy).toEqual(['size', 'ETag', 'metadata'])
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    expect((await fixture.head(key)).Metadata).toEqual(checksums)
  })

  test('a large file is sent in parts and gives the same object', async () => {
    const { path, bytes, key } = newRun(12 * MIB + 5)
    const pushed = await fixture.push(['--tag', 'LNGS', path, '--json', '--part-size', '5MiB'])
    expect(pushed.results()[0]).toMatchObject({
      state: 'uploaded',
      partCount: 3,
      sentBytes: bytes.length,
      verifiedBy: ['size', 'ETag', 'metadata'],
    })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    const head = await fixture.head(key)
    expect(head.ETag).toBe(`"${multipartEtag(md5sOfParts(bytes))}"`)
    expect(head.Metadata).toEqual({
      md5: digest('md5', bytes),
      sha256: digest('sha256', bytes),
      adler32: adler32(bytes),
    })
    expect(readdirSync(context.stateFolder)).toEqual([])
  })

  test('a stored file is not sent again, whether it was sent in one piece or in parts', async () => {
    for (const size of [1000, 6 * MIB]) {
      const { path, target } = newRun(size)
      await pushFile(path, target, options, context)
      expect(await pushFile(path, target, options, context)).toMatchObject({
        state: 'already-there',
        sentBytes: 0,
        error: null,
      })
    }
  })

  test('a stored file is sent again with --overwrite, as its bytes may have rotted in the store', async () => {
    for (const size of [1000, 6 * MIB]) {
      const { path, target } = newRun(size)
      await pushFile(path, target, options, context)
      const again = { ...options, overwrite: true }
      expect(await pushFile(path, target, { ...again, dryRun: true }, context)).toMatchObject({
        state: 'would-upload',
      })
      expect(await pushFile(path, target, again, context)).toMatchObject({
        state: 'uploaded',
        sentBytes: size,
        error: null,
      })
    }
  })

  test('an object of another tool without metadata is recognised by its ETag', async () => {
    const { path, bytes, target } = newRun(5000)
    await fixture.s3.send(new PutObjectCommand({ Bucket: bucket, Key: target.key, Body: bytes }))
    expect(await pushFile(path, target, options, context)).toMatchObject({
      state: 'already-there',
      verifiedBy: ['size', 'md5 in ETag'],
    })
  })

  test('metadata does not outweigh a different ETag', async () => {
    const { path, bytes, target } = newRun(5000)
    const other = Buffer.alloc(bytes.length)
    await fixture.s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: target.key,
        Body: other,
        Metadata: { md5: digest('md5', bytes) },
      }),
    )
    expect((await pushFile(path, target, options, context)).state).toBe('refused')
  })
})

describe('another object under the key, of a run number used again,', () => {
  test.each([
    ['of another size', 999],
    ['of the same size', 1000],
  ])('%s is kept, unless --overwrite is given', async (_, size) => {
    const earlier = newRun(size)
    await pushFile(earlier.path, earlier.target, options, context)
    const { path, bytes } = fixture.file(`again-${size}`, 1000)
    expect(await pushFile(path, earlier.target, options, context)).toMatchObject({
      state: 'refused',
      error: expect.stringMatching(/another object.*--overwrite/),
    })
    expect((await fixture.content(earlier.key))?.equals(earlier.bytes)).toBe(true)
    expect(await pushFile(path, earlier.target, { ...options, overwrite: true }, context)).toMatchObject({
      state: 'uploaded',
    })
    expect((await fixture.content(earlier.key))?.equals(bytes)).toBe(true)
  })

  test('an object that appears during the upload is kept too', async () => {
    const { path, key, target } = newRun(3 * MIB)
    const s3 = throughProxy()
    s3.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName === 'PutObjectCommand')
            await fixture.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'the other one' }))
          return await next(args)
        },
      { step: 'initialize' },
    )
    expect(await pushFile(path, target, options, { ...context, s3 })).toMatchObject({ state: 'refused' })
    expect((await fixture.content(key))?.toString()).toBe('the other one')
    s3.destroy()
  })
})

describe('an interrupted push', () => {
  /** Kills `cygnet push` when so many bytes were sent to the store. */
  async function killedAt(bytes: number, args: readonly string[], signal: NodeJS.Signals = 'SIGKILL') {
    proxy.limit(20 * MIB)
    const begin = proxy.passedBytes()
    const { child, ended } = fixture.start(args, proxy.endpoint)
    await until(() => proxy.passedBytes() - begin > bytes || child.exitCode !== null)
    child.kill(signal)
    // Only afterwards: else the rest could be sent before the signal is noticed.
    const killed = await ended
    proxy.limit(Number.POSITIVE_INFINITY)
    return killed
  }

  test('a push killed with kill -9 during the upload resumes with the missing parts', async () => {
    const { path, bytes, key } = newRun(28 * MIB + 3)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '2']
    expect(await killedAt(18 * MIB, args)).toMatchObject({ signal: 'SIGKILL' })
    expect(await fixture.content(key)).toBeNull()
    expect(await fixture.unfinished(key)).toHaveLength(1)
    // Another part size must not restart the upload.
    const pushed = await fixture.push([...args.slice(0, 4), '--part-size', '8MiB'])
    const [result] = pushed.results()
    expect(result).toMatchObject({ state: 'uploaded', partCount: 6 })
    expect(result?.sentBytes).toBeLessThanOrEqual(18 * MIB + 3)
    expect(result?.sentBytes).toBeGreaterThan(0)
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    expect((await fixture.head(key)).ETag).toBe(`"${multipartEtag(md5sOfParts(bytes))}"`)
    expect(await fixture.unfinished(key)).toEqual([])
    expect(readdirSync(context.stateFolder)).toEqual([])
  })

  test('a push that is killed repeatedly at any moment ends with the correct object', {
    tags: ['long'],
  }, async () => {
    const { path, bytes, key, target } = newRun(22 * MIB)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '2']
    for (const at of [0, 1000, 3 * MIB, 7 * MIB, 6 * MIB]) {
      await killedAt(at, args)
      const content = await fixture.content(key)
      expect(content === null || content.equals(bytes)).toBe(true)
    }
    // The last process may have been killed after its work.
    expect((await pushFile(path, target, options, context)).state).toMatch(/^(uploaded|already-there)$/)
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    expect(await fixture.unfinished(key)).toEqual([])
  })

  test('a push stopped by Ctrl-C states that it can be resumed, and is resumed', async () => {
    const { path, bytes, key, target } = newRun(16 * MIB)
    const args = ['--tag', 'LNGS', path, '--part-size', '5MiB', '--concurrency', '2']
    const interrupted = await killedAt(8 * MIB, args, 'SIGINT')
    expect(interrupted).toMatchObject({ code: 130 })
    expect(interrupted.stdout).toMatch(/failed .*interrupted; the parts that arrived are kept/)
    expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded' })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  })

  test('the upload of a file with new contents is aborted, and nothing of the old contents remains', async () => {
    const { path, key, target } = newRun(21 * MIB)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '2']
    await killedAt(13 * MIB, args)
    const [stale] = await fixture.unfinished(key)
    expect(stale).toBeDefined()
    const { bytes } = fixture.file(key.replace('LNGS/', ''), 21 * MIB)
    expect(await pushFile(path, target, options, context)).toMatchObject({
      state: 'uploaded',
      sentBytes: 21 * MIB,
    })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    expect(await fixture.unfinished(key)).toEqual([])
  })

  test('a part with other bytes of the same size is sent again', async () => {
    const { path, bytes, key, target } = newRun(21 * MIB)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '1']
    await killedAt(13 * MIB, args)
    const [upload] = await fixture.unfinished(key)
    await fixture.s3.send(
      new UploadPartCommand({
        Bucket: bucket,
        Key: key,
        UploadId: upload?.UploadId,
        PartNumber: 1,
        Body: Buffer.alloc(5 * MIB),
      }),
    )
    expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded' })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  })

  test('a push whose upload was aborted by another process starts again', async () => {
    const { path, bytes, key, target } = newRun(21 * MIB)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '2']
    await killedAt(8 * MIB, args)
    const [upload] = await fixture.unfinished(key)
    await fixture.s3.send(
      new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: upload?.UploadId }),
    )
    expect(await pushFile(path, target, options, context)).toMatchObject({
      state: 'uploaded',
      sentBytes: 21 * MIB,
    })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  })

  test('an upload whose id was not recorded before a kill is aborted, and uploads of others are not touched', async () => {
    const { path, bytes, key, target } = newRun(11 * MIB)
    const upload = () =>
      createMultipart(fixture.s3, { ...target, metadata: {}, replace: false }, context.signal)
    const [others] = [await upload(), await upload()]
    const part = {
      sizeBytes: 3,
      md5: digest('md5', Buffer.from('abc')),
      open: async function* () {
        yield Buffer.from('abc')
      },
    }
    await sendPart(fixture.s3, others, 1, part, context.signal)
    using state = openUploadState(context.stateFolder, context.store, target)
    state.write({
      ...target,
      file: path,
      sizeBytes: 1,
      md5: '',
      sha256: '',
      partSizeBytes: 1,
      uploadId: null,
      etagIsMd5: true,
      begunAt: new Date().toISOString(),
    })
    state[Symbol.dispose]()
    expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded' })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    expect((await fixture.unfinished(key)).map(({ UploadId }) => UploadId)).toEqual([others.uploadId])
    expect(readdirSync(context.stateFolder)).toEqual([])
  })

  test.each(['PutObjectCommand', 'CompleteMultipartUploadCommand'])(
    'whose last answer was lost (%s) finds its object',
    async (lost) => {
      const { path, bytes, key, target } = newRun(lost === 'PutObjectCommand' ? 1000 : 11 * MIB)
      const s3 = throughProxy()
      let count = 0
      s3.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            const answer = await next(args)
            if (commandName === lost && ++count === 1)
              throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET', name: 'TimeoutError' })
            return answer
          },
        { step: 'finalizeRequest', priority: 'low' },
      )
      expect(await pushFile(path, target, options, { ...context, s3 })).toMatchObject({
        state: 'uploaded',
        error: null,
      })
      expect(count).toBeGreaterThan(0)
      expect((await fixture.content(key))?.equals(bytes)).toBe(true)
      expect(readdirSync(context.stateFolder)).toEqual([])
      s3.destroy()
    },
  )

  test('a damaged state is ignored', async () => {
    const { path, bytes, key, target } = newRun(11 * MIB)
    const args = ['--tag', 'LNGS', path, '--json', '--part-size', '5MiB', '--concurrency', '1']
    await killedAt(6 * MIB, args)
    for (const name of readdirSync(context.stateFolder))
      writeFileSync(join(context.stateFolder, name), '{"half')
    expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded' })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  })
})

describe('a store or network that fails', () => {
  test('a short failure of the store costs only the parts in progress', async () => {
    const { path, bytes, target } = newRun(21 * MIB)
    const s3 = throughProxy()
    proxy.limit(20 * MIB)
    const begin = proxy.passedBytes()
    const pushing = pushFile(path, target, options, { ...context, s3 })
    await until(() => proxy.passedBytes() - begin > 8 * MIB)
    proxy.cut()
    proxy.limit(Number.POSITIVE_INFINITY)
    expect(await pushing).toMatchObject({ state: 'uploaded', sentBytes: 21 * MIB })
    expect((await fixture.content(target.key))?.equals(bytes)).toBe(true)
    s3.destroy()
  })

  test('a store that cannot be reached is reported, and so is a missing bucket', async () => {
    const { path } = newRun(100)
    const away = await fixture.push(['--tag', 'LNGS', path, '--json'], 'http://127.0.0.1:9')
    expect(away).toMatchObject({ code: 1 })
    expect(away.results()[0]).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('ECONNREFUSED'),
    })
    const nowhere = await fixture.push(['--tag', 'LNGS', '--bucket', 'no-such-bucket', path, '--json'])
    expect(nowhere.results()[0]).toMatchObject({
      state: 'failed',
      error: 'the store has no bucket no-such-bucket: is it the right store?',
    })
  })

  test.each([
    ['size', { ContentLength: 7 }],
    ['metadata', { Metadata: { md5: '0'.repeat(32) } }],
    ['metadata', { Metadata: {} }],
  ])(
    'a store that returns another %s than was sent is reported, and the object is kept',
    async (_, answer: Partial<HeadObjectCommandOutput>) => {
      const { path, key, target, bytes } = newRun(4000)
      const s3 = throughProxy()
      s3.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            const result = await next(args)
            if (commandName === 'HeadObjectCommand') Object.assign(result.output, answer)
            return result
          },
        { step: 'initialize' },
      )
      const result = await pushFile(path, target, options, { ...context, s3 })
      expect(result).toMatchObject({
        state: 'failed',
        error: expect.stringMatching(/differs from the file: .* was not deleted; keep the file/),
        verifiedBy: [],
      })
      expect((await fixture.content(key))?.equals(bytes)).toBe(true)
      s3.destroy()
    },
  )
})

/** As gateways and stores that encrypt or segment: the same for the same object, and no MD5 of it. */
function storeWithOtherEtags() {
  const s3 = throughProxy()
  const own = new Map<string | undefined, string>()
  s3.middlewareStack.add(
    (next) => async (args) => {
      const { MultipartUpload } = args.input as CompleteMultipartUploadCommandInput
      for (const part of MultipartUpload?.Parts ?? []) part.ETag = own.get(part.ETag)
      const result = await next(args)
      const { output } = result as { output: { ETag?: string } }
      if (output.ETag !== undefined) {
        const other = `"${digest('md5', Buffer.from(output.ETag))}"`
        own.set(other, output.ETag)
        output.ETag = other
      }
      return result
    },
    { step: 'initialize' },
  )
  return s3
}

describe('a store whose ETags are not MD5s of the contents', () => {
  test('has a pushed file with a warning that its contents could not be compared', async () => {
    const { path, key, target, bytes } = newRun(4000)
    const s3 = storeWithOtherEtags()
    expect(await pushFile(path, target, options, { ...context, s3 })).toMatchObject({
      state: 'uploaded',
      error: null,
      verifiedBy: ['size', 'metadata'],
      warning: expect.stringContaining('cannot be compared'),
    })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    s3.destroy()
  })

  test('keeps an object that cannot be compared, and it does not count as the file', async () => {
    const { path, key, target, bytes } = newRun(4000)
    const other = Buffer.alloc(bytes.length)
    await fixture.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: other }))
    const s3 = storeWithOtherEtags()
    const result = await pushFile(path, target, options, { ...context, s3 })
    expect(result).toMatchObject({
      state: 'refused',
      error: expect.stringMatching(/cannot be compared.*keep the file too/),
      sentBytes: 0,
    })
    expect(result.error).not.toContain('another object')
    expect((await fixture.content(key))?.equals(other)).toBe(true)
    s3.destroy()
  })

  test('takes a file in parts, whose ETags are of the same kind', async () => {
    const { path, key, target, bytes } = newRun(6 * MIB)
    const s3 = storeWithOtherEtags()
    expect(await pushFile(path, target, options, { ...context, s3 })).toMatchObject({
      state: 'uploaded',
      warning: expect.stringContaining('cannot be compared'),
    })
    expect((await fixture.content(key))?.equals(bytes)).toBe(true)
    s3.destroy()
  })
})

describe('a file that changes while it is read', () => {
  test.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 8 * MIB)],
    ['is written over', (path: string) => writeFileSync(path, Buffer.alloc(11 * MIB))],
    [
      'is replaced',
      (path: string) => {
        writeFileSync(`${path}.new`, readFileSync(path))
        utimesSync(`${path}.new`, 1e9, 1e9)
        renameSync(`${path}.new`, path)
      },
    ],
    ['is renamed', (path: string) => renameSync(path, `${path}.away`)],
  ])('a file that changes while it is read and %s leaves nothing in the store', async (_, change) => {
    for (const phase of ['checksums', 'sending'] as const) {
      const { path, key, target } = newRun(11 * MIB)
      let changed = false
      const onProgress = (progress: { readonly phase: string; readonly doneBytes: number }) => {
        if (changed || progress.phase !== phase || progress.doneBytes < 6 * MIB) return
        changed = true
        change(path)
      }
      const result = await pushFile(path, target, { ...options, concurrency: 1 }, { ...context, onProgress })
      expect(result).toMatchObject({
        state: 'failed',
        error: expect.stringMatching(/changed|removed or renamed/),
      })
      expect(await fixture.content(key)).toBeNull()
      expect(await fixture.unfinished(key)).toEqual([])
    }
  })

  test('a change of the file is noticed in a single PUT before its last bytes', async () => {
    const { path, key, target } = newRun(3 * MIB)
    const onProgress = ({ phase, doneBytes }: { readonly phase: string; readonly doneBytes: number }) => {
      if (phase === 'sending' && doneBytes === MIB) appendFileSync(path, 'more')
    }
    expect(await pushFile(path, target, options, { ...context, onProgress })).toMatchObject({
      state: 'failed',
      error: expect.stringContaining('changed'),
    })
    expect(await fixture.content(key)).toBeNull()
  })
})

describe('files that cannot be pushed', () => {
  test('each file that cannot be pushed is reported with a sentence, and the others are pushed', async () => {
    const good = newRun(100)
    const folder = join(fixture.folder, 'run00001.mid.gz')
    mkdirSync(folder)
    const empty = fixture.file('run00002.mid.gz', 0).path
    const link = join(fixture.folder, 'run00003.mid.gz')
    symlinkSync(good.path, link)
    const missing = join(fixture.folder, 'run00004.mid.gz')
    const notes = fixture.file('notes.txt', 10).path
    const pushed = await fixture.push([
      '--tag',
      'LNGS',
      folder,
      empty,
      link,
      missing,
      notes,
      good.path,
      '--json',
    ])
    expect(pushed.code).toBe(1)
    expect(pushed.results().map(({ state, error }) => [state, error])).toEqual([
      ['refused', expect.stringContaining('is a directory')],
      ['refused', expect.stringContaining('is empty')],
      ['refused', expect.stringContaining('is a symbolic link')],
      ['failed', expect.stringContaining('there is no such file')],
      ['refused', expect.stringContaining('is not the name of a run file')],
      ['uploaded', null],
    ])
    expect(await fixture.push(['--tag', 'LNGS', '--any-name', notes])).toMatchObject({ code: 0 })
    expect(await fixture.content('LNGS/notes.txt')).not.toBeNull()
  })

  test('a file without the right to read it is reported', async () => {
    const { path, target } = newRun(10)
    chmodSync(path, 0o000)
    chmodSync(fixture.folder, 0o755)
    if (isRoot) process.seteuid?.(65534)
    const result = await pushFile(path, target, options, { ...context, stateFolder: '/nowhere' }).finally(
      () => isRoot && process.seteuid?.(0),
    )
    expect(result).toMatchObject({ state: 'failed', error: `${path} cannot be read: permission denied` })
  })

  test('of two files with one key none is sent, and a file given twice is sent once', async () => {
    const plan = planFiles(
      ['a/run00001.mid', 'b/run00001.mid', './run00002.mid', 'run00002.mid', 'run00003.mid'],
      { tag: 'LNGS' },
      false,
    )
    expect(plan.map(({ refusal }) => refusal)).toEqual([
      expect.stringContaining('b/run00001.mid has the same key'),
      expect.stringContaining('a/run00001.mid has the same key'),
      null,
      'this file is given twice',
      null,
    ])
  })

  test.each([
    ['from the root', '/run00001.mid'],
    ['with an empty segment', 'LNGS//run00001.mid'],
    ['that climbs', 'LNGS/../run00001.mid'],
    ['without a name', 'LNGS/'],
    ['with a control character', 'LNGS/a\nb'],
    ['longer than S3 allows', `LNGS/${'ü'.repeat(510)}`],
  ])('a key %s is refused under any name', (_, key) => {
    expect(planFiles(['run00001.mid'], { key }, true)[0]?.refusal).toEqual(expect.any(String))
  })

  test.each([
    [['run00001.mid']],
    [['--tag', '/LNGS', 'run00001.mid']],
    [['--key', 'LNGS/run00001.mid', 'x', 'y']],
    [['--tag', 'LNGS', '--key', 'LNGS/run00001.mid', 'x']],
    [['--tag', 'LNGS', '--part-size', '1MB', 'x']],
    [['--tag', 'LNGS', '--concurrency', '0', 'x']],
    [['--tag', 'LNGS']],
  ])('a wrong command line, %j, is reported before anything is done', async (args) => {
    const program = new Command().exitOverride()
    register(program)
    const [command] = program.commands
    command?.exitOverride().configureOutput({ writeErr: () => {} })
    await expect(program.parseAsync(['push', ...args], { from: 'user' })).rejects.toThrow(CommanderError)
  })
})

test('a dry run reports what would be sent and writes nothing to the store', async () => {
  const there = newRun(100)
  await pushFile(there.path, there.target, options, context)
  const other = newRun(12 * MIB)
  const pushed = await fixture.push([
    '--tag',
    'LNGS',
    '--dry-run',
    '--part-size',
    '5MiB',
    there.path,
    other.path,
    '--json',
  ])
  expect(pushed.code).toBe(0)
  expect(pushed.results().map(({ state, partCount }) => [state, partCount])).toEqual([
    ['already-there', 1],
    ['would-upload', 3],
  ])
  expect(await fixture.content(other.key)).toBeNull()
  expect(await fixture.unfinished(other.key)).toEqual([])
})

test('a full disk under the state of uploads does not stop a push, which may be the one that frees space', async () => {
  const { path, target, bytes, key } = newRun(11 * MIB)
  mkdirSync(context.stateFolder, { recursive: true })
  const name = digest('sha256', Buffer.from(JSON.stringify(['127.0.0.1', target.bucket, target.key]))).slice(
    0,
    32,
  )
  const partial = join(context.stateFolder, `${name}.json.${process.pid}.part`)
  symlinkSync('/dev/full', partial)
  expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded', partCount: 3 })
  expect((await fixture.content(key))?.equals(bytes)).toBe(true)
  rmSync(partial)
  expect(readdirSync(context.stateFolder)).toEqual([])
})

test('two pushes of one key at the same time do not disturb each other; the lock of a killed one is ignored', async () => {
  const { path, target } = newRun(100)
  mkdirSync(context.stateFolder, { recursive: true })
  const sleeper = spawn('sleep', ['infinity'])
  const isDead = once(sleeper, 'exit')
  const lock = join(
    context.stateFolder,
    `${digest('sha256', Buffer.from(JSON.stringify(['127.0.0.1', target.bucket, target.key]))).slice(0, 32)}.lock`,
  )
  writeFileSync(lock, JSON.stringify(identify(sleeper.pid ?? 0)))
  const refused = await pushFile(path, target, options, context).finally(() => sleeper.kill('SIGKILL'))
  expect(refused).toMatchObject({ state: 'failed', error: expect.stringContaining('is sending') })
  await isDead
  expect(await pushFile(path, target, options, context)).toMatchObject({ state: 'uploaded' })
})

test('a tag of which the store has nothing is sent only with --new-tag, and the similar one is named', async () => {
  const there = newRun(100)
  await pushFile(there.path, there.target, options, context)
  const { path } = newRun(100)
  const name = basename(path)
  const refused = await fixture.push(['--tag', 'lngs', path])
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain('the tag lngs yet, but of LNGS; give --new-tag')
  expect(await fixture.content(`lngs/${name}`)).toBeNull()
  const byKey = await fixture.push(['--key', `lngs/${name}`, path])
  expect(byKey.stderr).toContain('--new-tag')
  expect((await fixture.push(['--tag', 'lngs', '--new-tag', path])).code).toBe(0)
  expect((await fixture.push(['--tag', 'lngs', newRun(100).path])).code).toBe(0)
})
