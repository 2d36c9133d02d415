/**
 * `cygnet get` fetches a file completely, or leaves a valid part of it, whatever the failures of the store, the
 * network and the disk.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRangeFetcher } from '../../../../cli/get/fetch-range.ts'
import type { GetProgress, GetResult } from '../../../../cli/get/get-file.ts'
import { type GetOptions, getRuns } from '../../../../cli/get/get-runs.ts'
import type { LinkRequest, LinkSource, OfferedFile } from '../../../../cli/get/link-source.ts'
import { temporaryFolder } from '../../../../infra/local/testing.ts'
import type { RunId } from '../../../../shared/run.ts'
import {
  fakeSource,
  offered,
  type RangeStore,
  startRangeStore,
} from '../../../support/cli/get/range-store.ts'
import { until } from '../../../support/waiting.ts'

const RUN = { tag: 'LNGS', runNumber: 12_345 }
const NAME = 'run12345.mid.gz'
const PIECE = 1000
/** 25 pieces and a part of one. */
const SIZE = 25_300
const RETRY_POLICY = { attempts: 5, firstPauseMs: 10 }

let store: RangeStore
let folder: string
let fetcher: ReturnType<typeof createRangeFetcher>
beforeEach(async () => {
  store = await startRangeStore(randomBytes(SIZE))
  folder = temporaryFolder()
  fetcher = createRangeFetcher()
})
afterEach(async () => {
  await fetcher.close()
  await store.close()
  vi.restoreAllMocks()
})

const usual = () => fakeSource(async () => [await offered(store, NAME)])
const path = () => join(folder, NAME)

async function get(
  source: LinkSource = usual(),
  more: Partial<GetOptions> = {},
  runs: readonly RunId[] = [RUN],
): Promise<GetResult[]> {
  const options: GetOptions = {
    folder,
    fetchRange: fetcher.fetchRange,
    concurrency: 4,
    pieceBytes: PIECE,
    retryPolicy: RETRY_POLICY,
    recall: false,
    waitUntil: null,
    pollMs: 10,
    onWaiting: () => {},
    onProgress: () => {},
    signal: new AbortController().signal,
    now: () => new Date(),
    ...more,
  }
  return await Array.fromAsync(getRuns(source, runs, options))
}
const one = async (source?: LinkSource, more?: Partial<GetOptions>) =>
  (await get(source, more))[0] as GetResult
const left = () => readdirSync(folder).filter((name) => name !== 'owner.json')

describe('a file', () => {
  it('a file is fetched completely under its name, and no other file remains', async () => {
    expect(await one()).toMatchObject({
      state: 'fetched',
      receivedBytes: SIZE,
      sizeBytes: SIZE,
      path: path(),
    })
    expect(readFileSync(path()).equals(store.content)).toBe(true)
    expect(left()).toEqual([NAME])
    expect(store.requests).toHaveLength(26)
  })

  it('a file of any size is fetched completely, with any number of concurrent pieces', async () => {
    for (const [size, concurrency] of [
      [0, 1],
      [1, 4],
      [PIECE - 1, 2],
      [PIECE, 2],
      [PIECE + 1, 32],
      [7 * PIECE, 3],
    ] as const) {
      store.content = randomBytes(size)
      folder = temporaryFolder()
      expect(await one(usual(), { concurrency })).toMatchObject({ state: 'fetched', sizeBytes: size })
      expect(readFileSync(path()).equals(store.content)).toBe(true)
    }
  })

  it('a file that exists and agrees is not fetched again', async () => {
    writeFileSync(path(), store.content)
    expect(await one()).toMatchObject({ state: 'already-there', receivedBytes: 0 })
    expect(store.requests).toHaveLength(0)
  })

  it.each<[string, (content: Buffer) => Buffer]>([
    ['of another size', (content) => content.subarray(1)],
    [
      'with one other byte',
      (content) => Buffer.concat([Buffer.from([(content[0] ?? 0) ^ 1]), content.subarray(1)]),
    ],
  ])('an existing file %s is never overwritten', async (_, change) => {
    const mine = change(store.content)
    writeFileSync(path(), mine)
    expect(await one()).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/exists with other contents .*--out/),
    })
    expect(readFileSync(path()).equals(mine)).toBe(true)
  })

  it('a folder with the name of the file is refused', async () => {
    mkdirSync(path())
    expect(await one()).toMatchObject({ state: 'failed', reason: expect.stringContaining('is not a file') })
  })

  it('the progress grows to the end of the file, and then shows the comparison', async () => {
    const seen: GetProgress[] = []
    await one(usual(), { onProgress: (progress) => seen.push(progress) })
    const fetched = seen.filter(({ phase }) => phase === 'fetching').map(({ doneBytes }) => doneBytes)
    expect(fetched).toEqual(fetched.toSorted((a, b) => a - b))
    expect(fetched.at(-1)).toBe(SIZE)
    expect(seen.at(-1)).toMatchObject({ phase: 'comparing', doneBytes: SIZE, totalBytes: SIZE })
  })

  it.each(['../run1.mid.gz', '/etc/passwd', '..', 'a/b', '', '.hidden', 'run\u0000'])(
    'whose name would be %j is not written anywhere',
    async (fileName) => {
      const source = fakeSource(async () => [{ ...(await offered(store, NAME)), fileName }])
      await expect(get(source)).resolves.toMatchObject([
        { state: 'failed', reason: expect.stringContaining('not the name of a run file') },
      ])
      expect(left()).toEqual([])
    },
  )
})

describe('an interruption', () => {
  /** Waits until so many pieces are complete. */
  async function interrupted(pieces: number): Promise<GetResult> {
    const stop = new AbortController()
    const onProgress = ({ doneBytes }: GetProgress) =>
      doneBytes >= pieces * PIECE && stop.abort(new Error('interrupted'))
    return await one(usual(), { onProgress, concurrency: 1, signal: stop.signal })
  }

  it('an interruption leaves no file under the name, and the next command fetches only the missing pieces', async () => {
    expect(await interrupted(10)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('the same command resumes it'),
    })
    expect(existsSync(path())).toBe(false)
    const before = store.requests.length
    const result = await one()
    expect(result.state).toBe('fetched')
    expect(result.receivedBytes).toBeLessThanOrEqual(SIZE - 9 * PIECE)
    expect(store.requests.slice(before).every(({ ifRange }) => ifRange !== null)).toBe(true)
    expect(readFileSync(path()).equals(store.content)).toBe(true)
    expect(left()).toEqual([NAME])
  })

  it('after a broken connection only the missing bytes are fetched, also within a piece', async () => {
    let cuts = 0
    let open: ServerResponse | null = null
    store.misbehave = (request, response) => {
      if (cuts >= 3) return false
      cuts++
      open = response
      const [start = 0] = (/\d+/.exec(request.headers.range ?? '') ?? []).map(Number)
      response.writeHead(206, {
        'content-range': `bytes ${start}-${request.headers.range?.split('-')[1]}/${SIZE}`,
        'content-length': '999999',
        etag: '"x"',
      })
      response.write(store.content.subarray(start, start + 400))
      return true
    }
    // After the bytes have arrived: a broken connection may lose bytes that were not read yet.
    const onProgress = ({ doneBytes }: GetProgress) => doneBytes === cuts * 400 && open?.destroy()
    // One version for all: the answers above state another ETag, which the first of them makes the one that is
    // expected.
    store.ignoresIfRange = true
    const options = { concurrency: 1, pieceBytes: SIZE, onProgress }
    expect(await one(usual(), options)).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    expect(store.requests.map(({ range }) => range).slice(0, 4)).toEqual([
      'bytes=0-25299',
      'bytes=400-25299',
      'bytes=800-25299',
      'bytes=1200-25299',
    ])
    expect(readFileSync(path()).equals(store.content)).toBe(true)
  })

  it('a store that is busy for a moment is tried again', async () => {
    let busy = 3
    store.misbehave = (_, response) => {
      if (busy-- <= 0) return false
      response.writeHead(503).end('SlowDown')
      return true
    }
    expect(await one()).toMatchObject({ state: 'fetched' })
  })

  it('a store that fails for long is reported, and the received bytes are kept', async () => {
    store.misbehave = (_, response) => {
      if (store.requests.length < 8) return false
      response.destroy()
      return true
    }
    expect(await one(usual(), { concurrency: 1 })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('cannot be reached'),
    })
    expect(left()).toEqual([`${NAME}.part`, `${NAME}.part.json`])
    store.misbehave = () => false
    expect((await one()).receivedBytes).toBeLessThan(SIZE - 5 * PIECE)
  })

  it('a part of another run, or an invalid state, is discarded and the file is fetched from its start', async () => {
    await interrupted(5)
    store.content = randomBytes(SIZE)
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    folder = temporaryFolder()
    writeFileSync(`${path()}.part`, 'rubbish')
    writeFileSync(`${path()}.part.json`, '{"md5":7')
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    expect(readFileSync(path()).equals(store.content)).toBe(true)
  })

  it('a state without its part is discarded and the file is fetched from its start', async () => {
    await interrupted(5)
    rmSync(`${path()}.part`)
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
  })

  it('a file that another process is fetching is refused with the pid of that process', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    store.misbehave = async () => {
      await gate
      return false
    }
    const first = one()
    await until(() => store.requests.length > 0)
    expect(await one()).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining(`by the process ${process.pid}`),
    })
    release()
    expect(await first).toMatchObject({ state: 'fetched' })
  })
})

describe('a link', () => {
  it('a link that expires during the download is renewed once for all pieces', async () => {
    const source = usual()
    store.misbehave = () => {
      if (store.requests.length === 10) store.token = 'second'
      return false
    }
    expect(await one(source)).toMatchObject({ state: 'fetched' })
    expect(source.asked()).toBe(2)
  })

  it('a link that is about to expire is renewed before its use', async () => {
    let first = true
    const source = fakeSource(async () => {
      const file = await offered(store, NAME, new Date(Date.now() + (first ? 1000 : 3_600_000)))
      first = false
      return [file]
    })
    expect(await one(source)).toMatchObject({ state: 'fetched' })
    expect(store.requests.every(({ token }) => token === 'first')).toBe(true)
    expect(source.asked()).toBe(2)
  })

  it('a link that the store never accepts is reported soon', async () => {
    const source = fakeSource(async () => [
      { ...(await offered(store, NAME)), url: `${store.url}?token=wrong` },
    ])
    expect(await one(source, { concurrency: 1 })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('refuses the link and a new one (status 403)'),
    })
    expect(store.requests.length).toBeLessThan(10)
  })

  it('a run that is replaced meanwhile ends the download: a file never has bytes of two runs', async () => {
    for (const ignoresIfRange of [false, true]) {
      folder = temporaryFolder()
      store.requests.length = 0
      store.ignoresIfRange = ignoresIfRange
      const other = randomBytes(SIZE)
      store.misbehave = () => {
        if (store.requests.length === 12) store.content = other
        return false
      }
      expect(await one(usual(), { concurrency: 2 })).toMatchObject({
        state: 'failed',
        reason: expect.stringContaining('was replaced'),
      })
      expect(existsSync(path())).toBe(false)
      expect(await one()).toMatchObject({ state: 'fetched' })
      expect(readFileSync(path()).equals(other)).toBe(true)
    }
  })

  it('bytes that differ from the catalogue leave no file', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), md5: '0'.repeat(32) }])
    expect(await one(source)).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/differ from the catalogue: md5 .* instead of 0{32}/),
    })
    expect(left()).toEqual([])
    const adler = fakeSource(async () => [{ ...(await offered(store, NAME)), adler32: '00000000' }])
    expect(await one(adler)).toMatchObject({ reason: expect.stringContaining('adler32') })
  })

  it('an object of another size is refused', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), sizeBytes: SIZE - 1 }])
    expect(await one(source, { concurrency: 1 })).toMatchObject({ state: 'failed' })
    expect(existsSync(path())).toBe(false)
  })

  it('a store without ranges serves a file of one piece, and larger files are refused', async () => {
    store.misbehave = (_, response, asked) => {
      response.writeHead(200, { 'content-length': SIZE, etag: '"x"' }).end(store.content)
      asked.sentBytes = SIZE
      return true
    }
    expect(await one(usual(), { pieceBytes: SIZE * 2 })).toMatchObject({ state: 'fetched' })
    folder = temporaryFolder()
    expect(await one()).toMatchObject({ state: 'failed' })
  })
})

describe('files that are not in the store', () => {
  const named = async () => {
    const { url: _, expiresAt: __, kind: ___, ...file } = await offered(store, NAME)
    return file
  }
  it.each<[Partial<OfferedFile>, string, RegExp]>([
    [
      { kind: 'recalling', state: 'staging', requestedAt: new Date(), detail: null } as const,
      'recalling',
      /being brought back from tape \(staging\)/,
    ],
    [
      { kind: 'on-tape', how: 'it is only on tape; ask for it' } as const,
      'on-tape',
      /--recall brings it back/,
    ],
    [{ kind: 'unavailable', why: 'it was never copied' } as const, 'unavailable', /never copied/],
  ])('a file that is not in the store is reported: %o', async (offer, state, reason) => {
    expect(
      await one(fakeSource(async () => [{ ...(await named()), ...offer } as OfferedFile])),
    ).toMatchObject({
      state,
      reason: expect.stringMatching(reason),
    })
  })

  it('a file that exists here counts as fetched, also when it is not in the store', async () => {
    writeFileSync(path(), store.content)
    expect(
      await one(fakeSource(async () => [{ ...(await named()), kind: 'on-tape', how: 'x' }])),
    ).toMatchObject({ state: 'already-there' })
  })
})

describe('files that are only on tape', () => {
  const files = async (kind: 'link' | 'recalling' | 'on-tape', runNumber: number): Promise<OfferedFile> => {
    const { url, expiresAt, kind: _, ...file } = await offered(store, `run0000${runNumber}.mid.gz`)
    if (kind === 'link') return { ...file, kind, url, expiresAt }
    if (kind === 'on-tape') return { ...file, kind, how: 'it is only on tape' }
    return { ...file, kind, state: 'staging', requestedAt: new Date(), detail: null }
  }
  const runs = [1, 2, 3].map((runNumber) => ({ tag: 'LNGS', runNumber }))
  /** Later than the expiry of each of these links. */
  const soon = () => new Date(Date.now() + 24 * 3_600_000)
  const states = (results: readonly GetResult[]) => results.map(({ runNumber, state }) => [runNumber, state])

  it('--recall requests a file once, and only when it does not exist here', async () => {
    const recalled: number[] = []
    const source = fakeSource(async ({ runNumber }, request?: LinkRequest) => {
      if (request?.recall === true) recalled.push(runNumber)
      return [await files(request?.recall === true ? 'recalling' : 'on-tape', runNumber)]
    })
    writeFileSync(join(folder, 'run00002.mid.gz'), store.content)
    expect(states(await get(source, { recall: true }, runs))).toEqual([
      [1, 'recalling'],
      [2, 'already-there'],
      [3, 'recalling'],
    ])
    expect(recalled).toEqual([1, 3])
  })

  it('a recalled file is waited for while the others are fetched, reported once, and then fetched', async () => {
    let rounds = 0
    const waited: string[] = []
    const source = fakeSource(async ({ runNumber }) => {
      if (runNumber !== 1) return [await files('link', runNumber)]
      return [await files(++rounds > 3 ? 'link' : 'recalling', runNumber)]
    })
    const options = { waitUntil: soon(), onWaiting: ({ file }: GetResult) => waited.push(file ?? '') }
    expect(states(await get(source, options, runs))).toEqual([
      [2, 'fetched'],
      [3, 'fetched'],
      [1, 'fetched'],
    ])
    expect(waited).toEqual(['run00001.mid.gz', 'run00001.mid.gz', 'run00001.mid.gz'])
    expect(source.asked()).toBe(6)
  })

  it('a complete file is not compared again in each round', async () => {
    let rounds = 0
    const source = fakeSource(async () => [
      await files('link', 1),
      await files(++rounds > 2 ? 'link' : 'recalling', 2),
    ])
    expect((await get(source, { waitUntil: soon() })).map(({ file, state }) => [file, state])).toEqual([
      ['run00001.mid.gz', 'fetched'],
      ['run00002.mid.gz', 'fetched'],
    ])
  })

  it('a file that is not recalled in time, or is no longer available, is reported', async () => {
    const never = fakeSource(async ({ runNumber }) => [await files('recalling', runNumber)])
    expect(states(await get(never, { waitUntil: new Date(Date.now() + 100) }, runs.slice(0, 1)))).toEqual([
      [1, 'recalling'],
    ])
    let rounds = 0
    const fails = fakeSource(async ({ runNumber }) => [
      await files(++rounds > 2 ? 'on-tape' : 'recalling', runNumber),
    ])
    expect(states(await get(fails, { recall: true, waitUntil: soon() }, runs.slice(0, 1)))).toEqual([
      [1, 'on-tape'],
    ])
  })

  it('an interruption ends the waiting', async () => {
    const stop = new AbortController()
    const source = fakeSource(async ({ runNumber }) => {
      stop.signal.throwIfAborted()
      return [await files('recalling', runNumber)]
    })
    let reported = 0
    const options = {
      waitUntil: soon(),
      lookAgainMs: 24 * 3_600_000,
      // While it waits for the next round.
      onWaiting: () => ++reported === runs.length && setImmediate(() => stop.abort(new Error('x'))),
      signal: stop.signal,
    }
    expect(await get(source, options, runs)).toMatchObject([
      { state: 'failed', reason: expect.stringContaining('interrupted') },
    ])
  })
})

it('a run that fails does not stop the others', async () => {
  const source = fakeSource(async ({ runNumber }) => {
    if (runNumber === 1) throw new Error('unknown')
    return [await offered(store, `run0000${runNumber}.mid.gz`)]
  })
  const results = await get(
    source,
    {},
    [1, 2, 3].map((runNumber) => ({ tag: 'LNGS', runNumber })),
  )
  expect(results.map(({ runNumber, state }) => [runNumber, state])).toEqual([
    [1, 'failed'],
    [2, 'fetched'],
    [3, 'fetched'],
  ])
})

describe('a disk that is full', () => {
  it.skipIf(!existsSync('/dev/full'))(
    'ends everything with a clear word (where there is /dev/full)',
    async () => {
      symlinkSync('/dev/full', `${path()}.part`)
      const source = fakeSource(async ({ runNumber }) => [
        await offered(store, runNumber === RUN.runNumber ? NAME : 'run00002.mid.gz'),
      ])
      const results = await get(source, {}, [RUN, { tag: 'LNGS', runNumber: 2 }])
      expect(results).toMatchObject([
        { state: 'failed', reason: expect.stringMatching(/^no room on the disk of .*it is full/) },
      ])
    },
  )

  it('a disk without enough space is reported before anything is fetched', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), sizeBytes: 2 ** 52 }])
    expect(await one(source, { pieceBytes: 2 ** 45 })).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^no room on the disk of .* are needed, .* are free$/),
    })
    expect(store.requests).toHaveLength(0)
    expect(left()).toEqual([])
  })
})
