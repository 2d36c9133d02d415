/**
 * What `cygnet get` promises of a file: all of its bytes or an honest part of them, whatever the store, the
 * network and the disk do.
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
/** 25 pieces and a bit. */
const SIZE = 25_300
const PATIENCE = { attempts: 5, firstPauseMs: 10 }

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
    retryPolicy: PATIENCE,
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
  it('comes whole under its name, and nothing else stays', async () => {
    expect(await one()).toMatchObject({
      state: 'fetched',
      receivedBytes: SIZE,
      sizeBytes: SIZE,
      path: path(),
    })
    expect(readFileSync(path()).equals(store.content)).toBe(true)
    expect(left()).toEqual([NAME])
    expect(store.asked).toHaveLength(26)
  })

  it('of any size comes whole, in any number of pieces at once', async () => {
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

  it('that is there and agrees is not fetched again', async () => {
    writeFileSync(path(), store.content)
    expect(await one()).toMatchObject({ state: 'already-there', receivedBytes: 0 })
    expect(store.asked).toHaveLength(0)
  })

  it.each<[string, (content: Buffer) => Buffer]>([
    ['of another size', (content) => content.subarray(1)],
    [
      'with one other byte',
      (content) => Buffer.concat([Buffer.from([(content[0] ?? 0) ^ 1]), content.subarray(1)]),
    ],
  ])('that is there %s is never written over', async (_, change) => {
    const mine = change(store.content)
    writeFileSync(path(), mine)
    expect(await one()).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/exists with other contents .*--out/),
    })
    expect(readFileSync(path()).equals(mine)).toBe(true)
  })

  it('that is there as a folder is refused', async () => {
    mkdirSync(path())
    expect(await one()).toMatchObject({ state: 'failed', reason: expect.stringContaining('is not a file') })
  })

  it('shows how far it is: ever more, to the end, then compared', async () => {
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
  /** Until so many pieces are there. */
  async function interrupted(pieces: number): Promise<GetResult> {
    const stop = new AbortController()
    const onProgress = ({ doneBytes }: GetProgress) =>
      doneBytes >= pieces * PIECE && stop.abort(new Error('interrupted'))
    return await one(usual(), { onProgress, concurrency: 1, signal: stop.signal })
  }

  it('leaves no file under the name, and the next time only what is missing comes', async () => {
    expect(await interrupted(10)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('the same command resumes it'),
    })
    expect(existsSync(path())).toBe(false)
    const before = store.asked.length
    const result = await one()
    expect(result.state).toBe('fetched')
    expect(result.receivedBytes).toBeLessThanOrEqual(SIZE - 9 * PIECE)
    expect(store.asked.slice(before).every(({ ifRange }) => ifRange !== null)).toBe(true)
    expect(readFileSync(path()).equals(store.content)).toBe(true)
    expect(left()).toEqual([NAME])
  })

  it('by a broken connection costs only what had not come: within a piece too', async () => {
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
    // Only when the bytes have come: a broken connection may take with it what nobody has read yet.
    const onProgress = ({ doneBytes }: GetProgress) => doneBytes === cuts * 400 && open?.destroy()
    // One version for all: the answers above say another ETag, which the first of them makes the one that is
    // expected.
    store.ignoresIfRange = true
    const options = { concurrency: 1, pieceBytes: SIZE, onProgress }
    expect(await one(usual(), options)).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    expect(store.asked.map(({ range }) => range).slice(0, 4)).toEqual([
      'bytes=0-25299',
      'bytes=400-25299',
      'bytes=800-25299',
      'bytes=1200-25299',
    ])
    expect(readFileSync(path()).equals(store.content)).toBe(true)
  })

  it('is passed over when the store is busy for a moment', async () => {
    let busy = 3
    store.misbehave = (_, response) => {
      if (busy-- <= 0) return false
      response.writeHead(503).end('SlowDown')
      return true
    }
    expect(await one()).toMatchObject({ state: 'fetched' })
  })

  it('that does not end is told, and what came stays', async () => {
    store.misbehave = (_, response) => {
      if (store.asked.length < 8) return false
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

  it('that left a part of another run, or a state that cannot be, is begun anew', async () => {
    await interrupted(5)
    store.content = randomBytes(SIZE)
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    folder = temporaryFolder()
    writeFileSync(`${path()}.part`, 'rubbish')
    writeFileSync(`${path()}.part.json`, '{"md5":7')
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
    expect(readFileSync(path()).equals(store.content)).toBe(true)
  })

  it('that lost the part but not its state is begun anew', async () => {
    await interrupted(5)
    rmSync(`${path()}.part`)
    expect(await one()).toMatchObject({ state: 'fetched', receivedBytes: SIZE })
  })

  it('while another process fetches the same is refused by name of the process', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    store.misbehave = async () => {
      await gate
      return false
    }
    const first = one()
    await until(() => store.asked.length > 0)
    expect(await one()).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining(`by the process ${process.pid}`),
    })
    release()
    expect(await first).toMatchObject({ state: 'fetched' })
  })
})

describe('a link', () => {
  it('that expired in the middle is renewed once, whoever of the pieces finds out first', async () => {
    const source = usual()
    store.misbehave = () => {
      if (store.asked.length === 10) store.token = 'second'
      return false
    }
    expect(await one(source)).toMatchObject({ state: 'fetched' })
    expect(source.asked()).toBe(2)
  })

  it('that is about to end is renewed before it is used', async () => {
    let first = true
    const source = fakeSource(async () => {
      const file = await offered(store, NAME, new Date(Date.now() + (first ? 1000 : 3_600_000)))
      first = false
      return [file]
    })
    expect(await one(source)).toMatchObject({ state: 'fetched' })
    expect(store.asked.every(({ token }) => token === 'first')).toBe(true)
    expect(source.asked()).toBe(2)
  })

  it('that the store never takes is told, soon', async () => {
    const source = fakeSource(async () => [
      { ...(await offered(store, NAME)), url: `${store.url}?token=wrong` },
    ])
    expect(await one(source, { concurrency: 1 })).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('refuses the link and a new one (status 403)'),
    })
    expect(store.asked.length).toBeLessThan(10)
  })

  it('to a run that was replaced meanwhile ends it: never two runs in one file', async () => {
    for (const ignoresIfRange of [false, true]) {
      folder = temporaryFolder()
      store.asked.length = 0
      store.ignoresIfRange = ignoresIfRange
      const other = randomBytes(SIZE)
      store.misbehave = () => {
        if (store.asked.length === 12) store.content = other
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

  it('to bytes that are not those of the catalogue ends with nothing', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), md5: '0'.repeat(32) }])
    expect(await one(source)).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/differ from the catalogue: md5 .* instead of 0{32}/),
    })
    expect(left()).toEqual([])
    const adler = fakeSource(async () => [{ ...(await offered(store, NAME)), adler32: '00000000' }])
    expect(await one(adler)).toMatchObject({ reason: expect.stringContaining('adler32') })
  })

  it('to an object of another size is no link to this file', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), sizeBytes: SIZE - 1 }])
    expect(await one(source, { concurrency: 1 })).toMatchObject({ state: 'failed' })
    expect(existsSync(path())).toBe(false)
  })

  it('to a store that gives no ranges works in one piece, and is told otherwise', async () => {
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

describe('what is not in the store', () => {
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
  ])('is told: %o', async (offer, state, reason) => {
    expect(
      await one(fakeSource(async () => [{ ...(await named()), ...offer } as OfferedFile])),
    ).toMatchObject({
      state,
      reason: expect.stringMatching(reason),
    })
  })

  it('but is here already counts as there', async () => {
    writeFileSync(path(), store.content)
    expect(
      await one(fakeSource(async () => [{ ...(await named()), kind: 'on-tape', how: 'x' }])),
    ).toMatchObject({ state: 'already-there' })
  })
})

describe('what is only on tape', () => {
  const files = async (kind: 'link' | 'recalling' | 'on-tape', runNumber: number): Promise<OfferedFile> => {
    const { url, expiresAt, kind: _, ...file } = await offered(store, `run0000${runNumber}.mid.gz`)
    if (kind === 'link') return { ...file, kind, url, expiresAt }
    if (kind === 'on-tape') return { ...file, kind, how: 'it is only on tape' }
    return { ...file, kind, state: 'staging', requestedAt: new Date(), detail: null }
  }
  const runs = [1, 2, 3].map((runNumber) => ({ tag: 'LNGS', runNumber }))
  /** Later than any of these ends. */
  const soon = () => new Date(Date.now() + 24 * 3_600_000)
  const states = (results: readonly GetResult[]) => results.map(({ runNumber, state }) => [runNumber, state])

  it('is asked for once with --recall, and only when it is not here already', async () => {
    const recalled: number[] = []
    const source = fakeSource(async ({ runNumber }, wish?: LinkRequest) => {
      if (wish?.recall === true) recalled.push(runNumber)
      return [await files(wish?.recall === true ? 'recalling' : 'on-tape', runNumber)]
    })
    writeFileSync(join(folder, 'run00002.mid.gz'), store.content)
    expect(states(await get(source, { recall: true }, runs))).toEqual([
      [1, 'recalling'],
      [2, 'already-there'],
      [3, 'recalling'],
    ])
    expect(recalled).toEqual([1, 3])
  })

  it('is waited for while the others come, each told once and then fetched', async () => {
    let looks = 0
    const waited: string[] = []
    const source = fakeSource(async ({ runNumber }) => {
      if (runNumber !== 1) return [await files('link', runNumber)]
      return [await files(++looks > 3 ? 'link' : 'recalling', runNumber)]
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

  it('of which a file is there already is not compared again at each look', async () => {
    let looks = 0
    const source = fakeSource(async () => [
      await files('link', 1),
      await files(++looks > 2 ? 'link' : 'recalling', 2),
    ])
    expect((await get(source, { waitUntil: soon() })).map(({ file, state }) => [file, state])).toEqual([
      ['run00001.mid.gz', 'fetched'],
      ['run00002.mid.gz', 'fetched'],
    ])
  })

  it('is told as such when it is not there in time, or cannot come any more', async () => {
    const never = fakeSource(async ({ runNumber }) => [await files('recalling', runNumber)])
    expect(states(await get(never, { waitUntil: new Date(Date.now() + 100) }, runs.slice(0, 1)))).toEqual([
      [1, 'recalling'],
    ])
    let looks = 0
    const fails = fakeSource(async ({ runNumber }) => [
      await files(++looks > 2 ? 'on-tape' : 'recalling', runNumber),
    ])
    expect(states(await get(fails, { recall: true, waitUntil: soon() }, runs.slice(0, 1)))).toEqual([
      [1, 'on-tape'],
    ])
  })

  it('is given up by an interruption', async () => {
    const stop = new AbortController()
    const source = fakeSource(async ({ runNumber }) => {
      stop.signal.throwIfAborted()
      return [await files('recalling', runNumber)]
    })
    let told = 0
    const options = {
      waitUntil: soon(),
      lookAgainMs: 24 * 3_600_000,
      // While it waits for the next look.
      onWaiting: () => ++told === runs.length && setImmediate(() => stop.abort(new Error('x'))),
      signal: stop.signal,
    }
    expect(await get(source, options, runs)).toMatchObject([
      { state: 'failed', reason: expect.stringContaining('interrupted') },
    ])
  })
})

it('a run that fails does not keep the others from coming', async () => {
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

  it('or would be is found before anything is fetched', async () => {
    const source = fakeSource(async () => [{ ...(await offered(store, NAME)), sizeBytes: 2 ** 52 }])
    expect(await one(source, { pieceBytes: 2 ** 45 })).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/^no room on the disk of .* are needed, .* are free$/),
    })
    expect(store.asked).toHaveLength(0)
    expect(left()).toEqual([])
  })
})
