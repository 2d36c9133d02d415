/**
 * The statements of the tape system decide which files are on media, staged or lost; a missing statement is never
 * replaced by a guess.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { InvalidInputError, TransientError } from '../../../shared/errors.ts'
import type { TapeFile } from '../../../shared/tape/driver.ts'
import { discoverTapeRest } from '../../../shared/tape/tape-rest.ts'
import { createTapeHttp } from '../../../shared/tape/webdav/http.ts'
import { freshName, tapeFileOf } from '../../support/tape/files.ts'
import { startTapeRestServer, type TapeRestServer } from '../../support/tape-rest-server.ts'
import {
  BYTES,
  never,
  startWebdavFixture,
  transientOf,
  type WebdavFixture,
} from '../../support/webdav-fixture.ts'

let fixture: WebdavFixture
let tape: TapeRestServer
let file: TapeFile
let path: string
beforeEach(async () => {
  fixture = await startWebdavFixture({ tapeRest: 'auto' })
  tape = await startTapeRestServer()
  tape.token = 'first-token'
  fixture.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', () =>
    fetch(`${tape.origin}/.well-known/wlcg-tape-rest-api`),
  )
  file = await tapeFileOf(BYTES)
  path = `/cygno/${file.name}`
  fixture.server.files.set(file.name, BYTES)
  tape.localities.set(path, 'TAPE')
})
afterEach(() => Promise.all([fixture.close(), tape.close()]))

const transient = (error: unknown) => expect(error).toBeInstanceOf(TransientError)
const check = (readBack: 'never' | 'if-needed' | 'always' = 'if-needed') =>
  fixture.driver.check(file, { reference: null, readBack }, never)
const stage = (reference: string | null = null, lifetimeSeconds = 86_400) =>
  fixture.driver.stage(file, { reference, lifetimeSeconds }, never)

describe('on media', () => {
  it.each([
    ['TAPE', true],
    ['DISK_AND_TAPE', true],
    ['DISK', false],
    ['NONE', false],
  ] as const)('%s: %s', async (locality, onMedia) => {
    tape.localities.set(path, locality)
    expect(await check()).toMatchObject({ kind: 'present', onMedia })
  })

  it('a copy is on media only when the tape system states it', async () => {
    fixture.server.files.clear()
    tape.localities.set(path, 'DISK')
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', onMedia: false })
    expect(await check()).toMatchObject({ kind: 'present', onMedia: false })
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await check()).toMatchObject({ kind: 'present', onMedia: true })
  })

  it('a verified copy remains verified when the tape system cannot answer, but is not on media', async () => {
    fixture.server.files.clear()
    tape.answerWith('POST /archiveinfo', 503, '', 5)
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', onMedia: false })
  })

  it.each([
    ['LOST', { kind: 'occupied' }],
    ['TAPE', 'on tape only'],
    ['UNAVAILABLE', 'cannot be read at present'],
  ] as const)(
    'a copy that finds the file at its destination, %s, reports the same as a check, and fetches nothing from tape',
    async (locality, expected) => {
      tape.localities.set(path, locality)
      fixture.server.digest = 'none'
      if (typeof expected === 'string')
        expect((await transientOf(fixture.copy(BYTES, file))).message).toContain(expected)
      else expect(await fixture.copy(BYTES, file)).toMatchObject(expected)
      fixture.server.digest = 'adler32'
      if (locality !== 'TAPE')
        await fixture
          .copy(BYTES, file)
          .then((result) => expect(result).toMatchObject({ kind: 'occupied' }), transient)
      expect(fixture.server.log.filter((line) => line === `GET ${file.name}`)).toEqual([])
    },
  )

  it('a file without a state, with an error or with an unknown state of the tape system is not on media', async () => {
    tape.omitted.add(path)
    expect(await check()).toMatchObject({ kind: 'present', onMedia: false })
    tape.omitted.clear()
    tape.localities.delete(path)
    expect(await check()).toMatchObject({ kind: 'present', onMedia: false })
    tape.answerWith('POST /archiveinfo', 200, JSON.stringify([{ path, locality: 'HOLOGRAM' }]))
    expect(await check()).toMatchObject({ kind: 'present', onMedia: false })
  })

  it('a file that is lost or unavailable is never "present", whatever checksum is still stated', async () => {
    tape.localities.set(path, 'LOST')
    expect(await check()).toMatchObject({ kind: 'different', reason: expect.stringContaining('LOST') })
    tape.localities.set(path, 'UNAVAILABLE')
    expect(await check()).toMatchObject({ kind: 'unverified' })
  })

  it('a file that is only on tape is not read back, since that would stage it', async () => {
    expect(await check('always')).toMatchObject({ kind: 'unproven' })
    expect(fixture.server.log).not.toContain(`GET ${file.name}`)
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await check('always')).toMatchObject({
      kind: 'present',
      evidence: 'read',
      verifiedBy: 'sha256 read back',
      onMedia: true,
    })
  })

  it('a file of which the tape system does not state that it is on disk is not read back either', async () => {
    tape.omitted.add(path)
    expect(await check('always')).toMatchObject({ kind: 'unproven' })
    tape.omitted.clear()
    tape.localities.delete(path)
    expect(await check('always')).toMatchObject({ kind: 'unproven' })
    expect(fixture.server.log).not.toContain(`GET ${file.name}`)
  })
})

describe('staging', () => {
  it('staging requests a file once, waits, and ends online', async () => {
    const first = await stage()
    expect(first).toMatchObject({ kind: 'staging', reference: tape.requests[0]?.id })
    const reference = first.kind === 'staging' ? first.reference : ''
    expect(await stage(reference)).toMatchObject({ kind: 'staging', reference })
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await stage(reference)).toEqual({ kind: 'online', reference })
    expect(tape.requests).toHaveLength(1)
    expect(tape.requests[0]).toMatchObject({ paths: [path], diskLifetime: ['P1D'] })
  })

  it('a file on disk is requested as well, so that it is kept there', async () => {
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await stage(null, 3600)).toEqual({ kind: 'online', reference: tape.requests[0]?.id })
    expect(tape.requests[0]?.diskLifetime).toEqual(['PT3600S'])
  })

  it.each([
    [{ state: 'SUBMITTED' }, 'staging'],
    [{ state: 'STARTED', startedAt: 1_700_000_000 }, 'staging'],
    [{ onDisk: false }, 'staging'],
    [{ state: 'COMPLETED' }, 'online'],
    [{ onDisk: true }, 'online'],
  ])('the state %j is %s', async (state, kind) => {
    tape.stageStates.set(path, state)
    expect(await stage()).toMatchObject({ kind })
  })

  it.each([{ state: 'FAILED', error: 'no drive' }, { state: 'CANCELLED' }])(
    'after %j the request has failed, and is made again only by a call without its reference',
    async (state) => {
      const first = await stage()
      tape.stageStates.set(path, state)
      const reason = expect.stringContaining(state.state)
      expect(await stage(first.reference)).toEqual({ kind: 'failed', reference: null, reason })
      expect(tape.requests).toHaveLength(1)
      tape.stageStates.delete(path)
      expect(await stage()).toMatchObject({ kind: 'staging', reference: tape.requests[1]?.id })
      expect(tape.requests).toHaveLength(2)
    },
  )

  it('a request that fails at once is reported as failed', async () => {
    tape.stageStates.set(path, { state: 'FAILED', error: 'no drive' })
    const reason = expect.stringContaining('no drive')
    expect(await stage()).toEqual({ kind: 'failed', reference: null, reason })
  })

  it.each([[503], [404]])(
    'a request whose state is answered with %i after it was made is not lost',
    async (status) => {
      tape.answerWith('GET /stage', status, '', 10)
      const first = await stage()
      expect(first).toMatchObject({ kind: 'staging', reference: tape.requests[0]?.id })
    },
  )

  it('a request that the tape system has forgotten is made again', async () => {
    expect(await stage('gone')).toMatchObject({ kind: 'staging', reference: tape.requests[0]?.id })
  })

  it('a completed request is valid while the file is on disk; when its time is over it is made again', async () => {
    const first = await stage()
    tape.stageStates.set(path, { state: 'COMPLETED' })
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await stage(first.reference)).toEqual({ kind: 'online', reference: first.reference })
    tape.localities.set(path, 'TAPE')
    tape.stageStates.delete(path)
    tape.answerWith('GET /stage', 200, JSON.stringify({ files: [{ path, state: 'COMPLETED' }] }))
    expect(await stage(first.reference)).toMatchObject({ kind: 'staging', reference: tape.requests[1]?.id })
  })

  it('a file that was lost meanwhile is an error for an operator, and is not requested repeatedly', async () => {
    const first = await stage()
    tape.stageStates.set(path, { state: 'FAILED', error: 'cannot be read' })
    tape.localities.set(path, 'LOST')
    await expect(stage(first.kind === 'staging' ? first.reference : null)).rejects.toThrow(InvalidInputError)
    expect(tape.requests).toHaveLength(1)
  })

  it('a file that the tape system does not know or cannot reach is not requested', async () => {
    tape.localities.delete(path)
    await expect(stage()).rejects.toThrow(/does not exist/)
    tape.localities.set(path, 'UNAVAILABLE')
    // Only this file: the endpoint is not to be left alone for it.
    expect(await transientOf(stage())).toMatchObject({ details: { missing: true } })
    expect(tape.requests).toEqual([])
  })

  it.each([{}, { onDisk: true, state: 'FAILED' }, { onDisk: false, state: 'COMPLETED' }])(
    'the state %j is an error: it is unknown',
    async (state) => {
      const { reference } = await stage()
      tape.stageStates.set(path, state)
      expect((await transientOf(stage(reference))).message).toContain('does not state clearly')
      const reason = expect.stringContaining('does not state clearly')
      expect(await stage()).toMatchObject({ kind: 'staging', reference: tape.requests[1]?.id, reason })
    },
  )

  it('an error has the text of the tape system', async () => {
    tape.answerWith(
      'POST /stage',
      400,
      JSON.stringify({ title: 'Bad Request', detail: 'too many files', status: 400 }),
    )
    expect((await transientOf(stage())).message).toContain('Bad Request: too many files')
  })
})

describe('many files in one request', () => {
  let files: readonly TapeFile[]
  let paths: readonly string[]
  const stageAll = () =>
    fixture.driver.stageAll?.(files, { lifetimeSeconds: 86_400, checkSeconds }, never) ?? null
  let checkSeconds: number
  beforeEach(async () => {
    checkSeconds = 60
    files = await Promise.all([1, 2, 3].map((run) => tapeFileOf(BYTES, freshName(`run0000${run}.mid.gz`))))
    paths = files.map(({ name }) => `/cygno/${name}`)
    for (const { name } of files) fixture.server.files.set(name, BYTES)
    for (const each of paths) tape.localities.set(each, 'TAPE')
  })

  it('all are requested at once, and each is followed and released by itself', async () => {
    const staged = await stageAll()
    expect(tape.requests).toMatchObject([{ paths, diskLifetime: ['P1D', 'P1D', 'P1D'] }])
    const reference = tape.requests[0]?.id ?? ''
    expect(staged).toEqual({ reference, files, leftOut: [] })
    tape.localities.set(paths[0] ?? '', 'DISK_AND_TAPE')
    const options = { reference, lifetimeSeconds: 86_400 }
    const states = await Promise.all(files.map((each) => fixture.driver.stage(each, options, never)))
    expect(states.map(({ kind }) => kind)).toEqual(['online', 'staging', 'staging'])
    for (const each of files.slice(0, 2)) await fixture.driver.release(each, reference, never)
    const [request] = tape.requests
    expect([...(request?.releasedPaths ?? [])]).toEqual(paths.slice(0, 1))
    expect([...(request?.cancelledPaths ?? [])]).toEqual(paths.slice(1, 2))
    expect(await fixture.driver.stage(files[2] as TapeFile, options, never)).toMatchObject({
      kind: 'staging',
    })
    expect(tape.requests).toHaveLength(1)
  })

  it('files that are missing, lost or cannot be read at present are left out', async () => {
    fixture.server.files.delete(files[0]?.name ?? '')
    tape.localities.set(paths[1] ?? '', 'LOST')
    expect(await stageAll()).toMatchObject({ files: [files[2]], leftOut: files.slice(0, 2) })
    tape.localities.set(paths[2] ?? '', 'UNAVAILABLE')
    expect(await stageAll()).toBeNull()
    expect(tape.requests).toHaveLength(1)
  })

  it('of files with the same name in two buckets one is left out, since answers may not distinguish them', async () => {
    const [first] = files
    const twin = { ...(first as TapeFile), name: `another-${first?.name}` }
    fixture.server.files.set(twin.name, BYTES)
    tape.localities.set(`/cygno/${twin.name}`, 'TAPE')
    files = [...files, twin]
    expect(await stageAll()).toMatchObject({ files: files.slice(0, 3), leftOut: [twin] })
  })

  it.each([403, 500, 503, 504])('a file whose check is answered %i is left out', async (status) => {
    const [, bad] = files
    fixture.server.meet(
      'HEAD',
      async (met) => {
        if (met.name === bad?.name) met.response.writeHead(status).end()
        else await met.proceed()
      },
      100,
    )
    expect(await stageAll()).toMatchObject({ files: [files[0], files[2]], leftOut: [bad] })
  })

  it('all checks that fail are a failure of the endpoint', async () => {
    fixture.server.meet('HEAD', async (met) => void met.response.writeHead(503).end(), 100)
    await transientOf(stageAll() ?? Promise.resolve())
    expect(tape.requests).toEqual([])
  })

  it('files that are not checked in time are neither requested nor left out', async () => {
    const more = await Promise.all(
      Array.from({ length: 9 }, (_, run) => tapeFileOf(BYTES, freshName(`run0010${run}.mid.gz`))),
    )
    for (const { name } of more) {
      fixture.server.files.set(name, BYTES)
      tape.localities.set(`/cygno/${name}`, 'TAPE')
    }
    files = [...files, ...more]
    checkSeconds = 0
    const staged = await stageAll()
    expect(staged?.files).toEqual(files.slice(0, staged?.files.length))
    expect(staged?.files.length).toBeGreaterThan(0)
    expect(staged?.files.length).toBeLessThan(files.length)
    expect(staged?.leftOut).toEqual([])
  })

  it('where many files are is asked with one question, and of a contradiction only that file is left out', async () => {
    const entries = paths.map((each) => ({ path: each, locality: 'TAPE' }))
    const contradiction = { path: paths[0] ?? '', locality: 'LOST' }
    tape.answerWith('POST /archiveinfo', 200, JSON.stringify([...entries, contradiction]))
    expect(await stageAll()).toMatchObject({ files: files.slice(1), leftOut: files.slice(0, 1) })
  })

  it('their progress is read once in a round, and again in the next', async () => {
    const reference = (await stageAll())?.reference ?? ''
    const poll = (round: object) =>
      Promise.all(
        files.map((each) => fixture.driver.stage(each, { reference, lifetimeSeconds: 60, round }, never)),
      )
    const round = {}
    expect((await poll(round)).map(({ kind }) => kind)).toEqual(['staging', 'staging', 'staging'])
    for (const each of paths) tape.localities.set(each, 'DISK_AND_TAPE')
    expect((await poll(round)).map(({ kind }) => kind)).toEqual(['staging', 'staging', 'staging'])
    expect((await poll({})).map(({ kind }) => kind)).toEqual(['online', 'online', 'online'])
  })

  it('a file that came online after its progress was read in a round is released', async () => {
    const reference = (await stageAll())?.reference ?? ''
    const round = {}
    const options = { reference, lifetimeSeconds: 60, round }
    for (const each of files) await fixture.driver.stage(each, options, never)
    for (const each of paths) tape.localities.set(each, 'DISK_AND_TAPE')
    for (const each of files) await fixture.driver.release(each, reference, never, round)
    expect(tape.requests).toMatchObject([{ released: true, cancelled: false }])
  })

  it('of files whose names an encoded answer does not distinguish, the second has a request of its own', async () => {
    tape.pathInAnswers = (asked) => asked.split('/').map(encodeURIComponent).join('/')
    const [plain, encoded] = await Promise.all(
      ['a b', 'a%20b'].map((name) => tapeFileOf(BYTES, `cygno-data/LNGS/${name}`)),
    )
    if (plain === undefined || encoded === undefined) throw new Error('no files')
    files = [plain, encoded]
    for (const { name } of files) {
      fixture.server.files.set(name, BYTES)
      tape.localities.set(`/cygno/${name}`, 'TAPE')
    }
    const together = await stageAll()
    expect(together).toMatchObject({ files: [plain] })
    const stageOne = (each: TapeFile, reference: string | null) =>
      fixture.driver.stage(each, { reference, lifetimeSeconds: 60 }, never)
    const own = await stageOne(encoded, null)
    tape.localities.set(`/cygno/${encoded.name}`, 'DISK_AND_TAPE')
    expect(await stageOne(encoded, own.reference)).toMatchObject({ kind: 'online' })
    expect(await stageOne(plain, together?.reference ?? null)).toMatchObject({ kind: 'staging' })
  })

  it('an endpoint without the API has nothing to request', async () => {
    const without = await startWebdavFixture({ tapeRest: 'never' })
    expect(await without.driver.stageAll?.(files, { lifetimeSeconds: 60, checkSeconds }, never)).toBeNull()
    await without.close()
  })

  it('an answer that was lost is an error: whether the request was made is unknown', async () => {
    tape.answerWith('POST /stage', 504, '', 10)
    await transientOf(stageAll() ?? Promise.resolve())
  })
})

describe('a tape system that answers with other paths than it was asked for', () => {
  it.each<[string, (asked: string) => string]>([
    ['below the root of its namespace', (asked) => `/pnfs/lngs.infn.it/data${asked}`],
    ['below the root of the user', (asked) => asked.replace(/^\/cygno/, '')],
    ['below another root', (asked) => asked.replace(/^\/cygno/, '/tape/pools/cygno-archive')],
    ['without its first slash', (asked) => asked.slice(1)],
    ['with doubled slashes', (asked) => asked.replaceAll('/', '//')],
    ['percent-encoded', (asked) => `/pnfs${asked.split('/').map(encodeURIComponent).join('/')}`],
  ])('a file whose path it answers %s is followed with one request', async (_, pathInAnswers) => {
    const name = freshName('run 12345+é.mid.gz')
    file = await tapeFileOf(BYTES, name)
    path = `/cygno/${name}`
    fixture.server.files.set(name, BYTES)
    tape.localities.set(path, 'TAPE')
    tape.pathInAnswers = pathInAnswers
    expect(await check()).toMatchObject({ kind: 'present', onMedia: true })
    const { reference } = await stage()
    expect(await stage(reference)).toMatchObject({ kind: 'staging', reference })
    tape.localities.set(path, 'DISK_AND_TAPE')
    expect(await stage(reference)).toEqual({ kind: 'online', reference })
    await fixture.driver.release(file, reference ?? '', never)
    expect(tape.requests).toMatchObject([{ paths: [path], released: true }])
  })

  it('the same name in another folder is another file', async () => {
    tape.pathInAnswers = () => '/pnfs/another/run12345.mid.gz'
    expect(await check()).toMatchObject({ kind: 'present', onMedia: false })
  })

  it.each([
    ['twice with one state', ['TAPE', 'TAPE'], true],
    ['twice with two states', ['TAPE', 'LOST'], null],
  ])('a file that is answered %s has that state, or none', async (_, localities, onMedia) => {
    const entries = localities.map((locality) => ({ path: `/pnfs${path}`, locality }))
    tape.answerWith('POST /archiveinfo', 200, JSON.stringify(entries))
    if (onMedia === null) await transientOf(check())
    else expect(await check()).toMatchObject({ kind: 'present', onMedia })
  })

  it('a request that is answered without any file is not made again: its state is unknown', async () => {
    const { reference } = await stage()
    tape.answerWith('GET /stage', 200, JSON.stringify({ files: [] }))
    await transientOf(stage(reference))
    expect(tape.requests).toHaveLength(1)
  })
})

describe('an error of the tape system about a file', () => {
  it('an error ends no recall: the file is asked for again, and nothing is staged meanwhile', async () => {
    const entry = { path, error: 'internal error, try again later' }
    tape.answerWith('POST /archiveinfo', 200, JSON.stringify([entry]))
    expect(await transientOf(stage())).toMatchObject({ details: { missing: true } })
    expect(tape.requests).toEqual([])
    expect(await stage()).toMatchObject({ kind: 'staging' })
  })
})

describe('releasing', () => {
  const release = (reference: string | null) => fixture.driver.release(file, reference ?? '', never)
  const ends = () => tape.requests.map(({ released, cancelled }) => ({ released, cancelled }))

  it('a file on disk is released, and only for the given request', async () => {
    const [first] = [await stage(), await stage()]
    tape.localities.set(path, 'DISK_AND_TAPE')
    await release(first.reference)
    await release(first.reference)
    expect(ends()).toEqual([
      { released: true, cancelled: false },
      { released: false, cancelled: false },
    ])
  })

  it('a request that waits for a drive is cancelled, since it would still be staged and kept', async () => {
    const { reference } = await stage()
    await release(reference)
    await release(reference)
    expect(ends()).toEqual([{ released: false, cancelled: true }])
  })

  it.each([
    ['is not known any more', 'gone'],
    ['has failed', { state: 'FAILED', error: 'no drive' }],
  ])('a request that %s has nothing to release', async (_, state) => {
    const { reference } = await stage()
    if (typeof state === 'object') tape.stageStates.set(path, state)
    await release(typeof state === 'string' ? state : reference)
    expect(ends()).toEqual([{ released: false, cancelled: false }])
  })

  it('a request for another file is not touched', async () => {
    const { reference } = await stage()
    const other = await tapeFileOf(randomBytes(10))
    fixture.server.files.set(other.name, randomBytes(10))
    tape.localities.set(path, 'DISK_AND_TAPE')
    await fixture.driver.release(other, reference ?? '', never)
    expect(ends()).toEqual([{ released: false, cancelled: false }])
  })

  it('a file of the oldest layout is released by the name under which it was staged', async () => {
    const older = file.name.slice(file.name.indexOf('/') + 1)
    fixture.server.files.clear()
    fixture.server.files.set(older, BYTES)
    tape.localities.set(`/cygno/${older}`, 'DISK_AND_TAPE')
    const { reference } = await stage()
    await release(reference)
    expect(tape.requests).toMatchObject([{ paths: [`/cygno/${older}`], released: true }])
  })

  it.each(['POST /release', 'GET /stage'])('a %s that is refused is reported', async (call) => {
    tape.localities.set(path, 'DISK_AND_TAPE')
    const { reference } = await stage()
    tape.answerWith(call, 503, '', 10)
    await transientOf(release(reference))
    expect(ends()).toEqual([{ released: false, cancelled: false }])
  })

  it('an endpoint without the API has no requests to release', async () => {
    fixture.server.elsewhere.set(
      '/.well-known/wlcg-tape-rest-api',
      async () => new Response('', { status: 404 }),
    )
    await release('anything')
  })
})

describe('finding the API', () => {
  const http = createTapeHttp({ token: { token: async () => 'first-token', refused: () => {} } })
  const answering = (status: number, body = '') =>
    fixture.server.elsewhere.set(
      '/.well-known/wlcg-tape-rest-api',
      async () => new Response(body, { status }),
    )

  const works = () =>
    fixture.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', () =>
      fetch(`${tape.origin}/.well-known/wlcg-tape-rest-api`),
    )
  const checkWith = async (options: Parameters<typeof startWebdavFixture>[0]) => {
    const other = await startWebdavFixture(options, fixture)
    const checked = other.driver.check(file, { reference: null, readBack: 'never' }, never)
    return await checked.finally(() => other.driver.close())
  }

  it.each([404, 405, 501])(
    'an endpoint that answers %i is taken for the medium itself, and states since when',
    async (status) => {
      answering(status)
      expect(await check()).toMatchObject({ kind: 'present', onMedia: true, assumedSince: expect.any(Date) })
      expect(await stage()).toEqual({ kind: 'online', reference: null })
    },
  )

  it('one answer never shows that there is no API', async () => {
    tape.localities.set(path, 'DISK')
    let answers = 0
    fixture.server.elsewhere.set('/.well-known/wlcg-tape-rest-api', async () =>
      ++answers === 1
        ? new Response('', { status: 404 })
        : await fetch(`${tape.origin}/.well-known/wlcg-tape-rest-api`),
    )
    expect(await check()).toMatchObject({ onMedia: false })
  })

  it('a server that has no root of the copies does not show that there is no API', async () => {
    answering(404)
    fixture.server.meet('PROPFIND', ({ response }) => void response.writeHead(405).end(), 1000)
    await transientOf(check())
  })

  it('an absence is not remembered by the process', async () => {
    answering(404)
    await check()
    works()
    tape.localities.set(path, 'DISK')
    expect(await check()).toMatchObject({ onMedia: false })
  })

  it('an endpoint whose API was seen before has one: its absence is an outage', async () => {
    answering(404)
    const tapeRestMemory = { found: async () => {}, absent: async () => null }
    const error = await transientOf(checkWith({ tapeRest: 'auto', tapeRestMemory }))
    expect(error.details).toMatchObject({ operator: true })
  })

  it('an endpoint that has an API by the settings has one: its absence is an outage', async () => {
    answering(404)
    await transientOf(checkWith({ tapeRest: 'always' }))
    works()
    expect(await checkWith({ tapeRest: 'always' })).toMatchObject({ onMedia: true })
  })

  it('a file that was staged through the API is not online because the API is absent', async () => {
    const { reference } = await stage()
    answering(404)
    const other = await startWebdavFixture({ tapeRest: 'auto' }, fixture)
    await transientOf(other.driver.stage(file, { reference, lifetimeSeconds: 60 }, never))
    await other.driver.close()
  })

  it.each([401, 403, 500, 503])('status %i does not count as the absence of the API', async (status) => {
    answering(status)
    await transientOf(check())
  })

  it.each([
    ['no JSON', '<html>'],
    ['nothing', ''],
    ['a list', '[]'],
    ['no version 1', JSON.stringify({ endpoints: [{ uri: 'http://x.example.org/api', version: 'v2' }] })],
    ['an address that is none', JSON.stringify({ endpoints: [{ uri: 'file:///etc', version: 'v1' }] })],
  ])('an API description that is %s is an error', async (_, body) => {
    answering(200, body)
    await transientOf(check())
  })

  it('an API address without TLS is refused, and gets no token', async () => {
    const fake = {
      request: async () => ({
        ...answer,
        body: bodyOf({ endpoints: [{ uri: 'http://x.example.org/api', version: 'v1' }] }),
      }),
      close: () => {},
    }
    await expect(discoverTapeRest(fake, new URL('https://tape.example.org/'), never)).rejects.toThrow(
      'without TLS',
    )
  })

  it('the API is not requested where the settings exclude it', async () => {
    const without = await startWebdavFixture({ tapeRest: 'never' })
    without.server.files.set(file.name, BYTES)
    const found = await without.driver.check(file, { reference: null, readBack: 'never' }, never)
    expect(found).toMatchObject({ onMedia: true })
    expect(found).not.toHaveProperty('assumedSince')
    expect(without.server.log.some((line) => line.includes('well-known'))).toBe(false)
    await without.close()
  })

  it('files are released by path; a path that is not in the request is an error', async () => {
    const rest = await discoverTapeRest(http, new URL(tape.origin), never)
    const id = (await rest?.stage([path], 60, never)) ?? ''
    await rest?.release(id, [path], never)
    expect(tape.requests[0]?.released).toBe(true)
    await transientOf(rest?.release(id, ['/another'], never) ?? Promise.resolve())
  })

  it('answers of any size and form are handled safely', async () => {
    const rest = await discoverTapeRest(http, new URL(tape.origin), never)
    for (const body of [
      'null',
      '{}',
      '[{"locality":"TAPE"}]',
      '['.repeat(100_000),
      `["${randomBytes(3_000_000).toString('hex')}"]`,
    ]) {
      tape.answerWith('POST /archiveinfo', 200, body)
      await transientOf(rest?.archiveInfo(path, never) ?? Promise.resolve())
    }
  })
})

const answer = { status: 200, header: () => null, url: new URL('https://tape.example.org/') }
const bodyOf = (value: object) =>
  Object.assign(
    (async function* () {
      yield Buffer.from(JSON.stringify(value))
    })(),
    { destroy: () => {} },
  )
