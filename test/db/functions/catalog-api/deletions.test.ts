import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { registerDeletions } from '../../../../functions/catalog-api/api/deletions.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { createDirectoryDriver } from '../../../../shared/tape/directory/directory.ts'
import { type FaultyTape, faultyTape } from '../../../support/faulty-tape.ts'
import {
  ANONYMOUS,
  caller,
  machineCaller,
  type RestApp,
  restApp,
} from '../../../support/functions/catalog-api/rest-app.ts'
import { bringToTape, corruptOnTape } from '../../../support/on-tape.ts'
import {
  type CataloguedObject,
  startTestTapeContext,
  type TestTapeContext,
} from '../../../support/tape-context.ts'

const DAQ = machineCaller('daq-1', 'push:LNGS')

let context: TestTapeContext
let app: RestApp
let run: CataloguedObject
let number = 0
beforeAll(async () => {
  context = await startTestTapeContext({ driver: (folder) => faultyTape(createDirectoryDriver({ folder })) })
  app = restApp(context, registerDeletions)
})
afterAll(() => context?.close())
beforeEach(async () => {
  ;(context.tape as FaultyTape).fault = null
  const key = `LNGS/run0000${++number}.mid.gz`
  run = await context.putRun(key, `the bytes of ${key}`)
  await bringToTape(context, { ...run.object, sha256: run.sha256 })
})
afterEach(() => vi.restoreAllMocks())

const path = (more = '') => `/api/v1/files/${context.bucket}/${run.object.key}/deletions${more}`
const request = () => ({
  sha256: run.sha256,
  sizeBytes: run.object.sizeBytes,
  host: 'daq-1',
  path: '/data/run.mid.gz',
})
const ask = (who = DAQ) => app.post(path(), request(), who)
const rows = () =>
  context.database.selectFrom('copies').selectAll().where('objectKey', '=', run.object.key).execute()
const local = async () => (await rows()).find(({ kind }) => kind === 'local')
const tombstones = () =>
  context.database.selectFrom('tombstones').selectAll().where('objectKey', '=', run.object.key).execute()

describe('POST …/deletions', () => {
  test('allows the deletion of a file whose copies are verified now, for a minute, with a tombstone; its outcome is recorded once', async () => {
    const { status, json } = await ask()
    expect(status).toBe(200)
    expect(json).toEqual({
      allowed: true,
      why: expect.stringContaining('verified just now'),
      id: expect.any(Number),
      validSeconds: 60,
    })
    expect(await tombstones()).toMatchObject([{ id: json.id, state: 'intended' }])
    expect((await ask()).json.id).toBe(json.id)
    const end = () => app.post(path(`/${json.id}`), { host: 'daq-1', gone: true }, DAQ)
    expect(await end()).toMatchObject({ status: 200, json: { state: 'deleted' } })
    expect(await end()).toMatchObject({ status: 200, json: { state: 'deleted' } })
    expect(await local()).toMatchObject({ state: 'deleted', endpoint: 'daq-1', name: '/data/run.mid.gz' })
    const history = await context.database.selectFrom('runHistory').select(['what', 'detail']).execute()
    expect(
      history.filter(
        ({ what, detail }) =>
          what === 'local file deleted' && detail.includes('file://daq-1/data/run.mid.gz'),
      ),
    ).toHaveLength(1)
  })

  test('takes a key whose slashes are encoded', async () => {
    const { json } = await app.post(path().replace('LNGS/', 'LNGS%2F'), request(), DAQ)
    expect(json.allowed).toBe(true)
  })

  test('does not allow what is bad on tape although the catalogue counts it; and writes that down', async () => {
    corruptOnTape(context, run.object)
    expect(await ask()).toMatchObject({
      status: 200,
      json: { allowed: false, why: expect.stringContaining('no copy on tape is verified now') },
    })
    expect(await tombstones()).toEqual([])
    expect((await rows()).map(({ kind, state }) => `${kind} ${state}`)).toEqual(
      expect.arrayContaining(['tape suspicious', 'local present']),
    )
  })

  test('does not allow it when the object is missing', async () => {
    await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: run.object.key }))
    expect((await ask()).json).toEqual({
      allowed: false,
      why: 'the catalogue has it in the store, and it is missing there',
    })
  })

  test('does not allow it, with the reason, while the tape endpoint does not answer or refuses', async () => {
    ;(context.tape as FaultyTape).fault = 'down'
    const { status, json } = await ask()
    expect([status, json]).toEqual([
      200,
      { allowed: false, why: 'its copies could not be checked now: the endpoint does not answer' },
    ])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test('does not allow it when it takes longer than 25 s; then nothing is written', async () => {
    const limit = new AbortController()
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) =>
      ms === 25_000 ? limit.signal : new AbortController().signal,
    )
    vi.spyOn(context.tape, 'check').mockImplementation(async (_file, _options, signal) => {
      limit.abort(new DOMException('timed out', 'TimeoutError'))
      signal.throwIfAborted()
      throw new TransientError('unreachable')
    })
    expect(await ask()).toMatchObject({
      status: 200,
      json: { allowed: false, why: expect.stringContaining('within 25 s') },
    })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test('does not allow it where the API has no tape endpoint, and names the setting', async () => {
    const without = restApp({ ...context, tape: null }, registerDeletions)
    const { json } = await without.post(path(), request(), DAQ)
    expect(json).toEqual({ allowed: false, why: expect.stringContaining('CYGNET_TAPE_DRIVER') })
  })

  test('does not allow contents that are not catalogued', async () => {
    const { json } = await app.post(path(), { ...request(), sha256: 'f'.repeat(64) }, DAQ)
    expect(json).toEqual({ allowed: false, why: 'these contents are not catalogued yet' })
  })

  test.each([
    ['no body', {}, /sha256: missing/],
    ['a path that is none', { path: 'data/run.mid' }, /path: expected an absolute path/],
    ['a host that is none', { host: 'a b' }, /host: not a machine name/],
    ['a size that is none', { sizeBytes: -1 }, /sizeBytes/],
    ['a checksum that is none', { sha256: 'AB' }, /sha256: expected a SHA-256/],
    ['something else', { force: true }, /unknown field force/],
  ])('refuses %s', async (what, change, said) => {
    const { status, json } = await app.post(
      path(),
      what === 'no body' ? {} : { ...request(), ...change },
      DAQ,
    )
    expect(status).toBe(400)
    expect(json.detail).toMatch(said)
  })

  test('is allowed only for callers who may push the tag', async () => {
    expect((await ask(caller('push:LNF', 'read:*', 'operate:*'))).status).toBe(403)
    expect((await ask(ANONYMOUS)).status).toBe(401)
    expect(
      (await app.post(`/api/v1/files/${context.bucket}/LNGS/notes.txt/deletions`, request(), DAQ)).status,
    ).toBe(404)
  })
})

describe('POST …/deletions/{id}', () => {
  test('is for the machine and the object that it was given for', async () => {
    const { id } = (await ask()).json
    const tell = (to: string, host = 'daq-1', who = DAQ) => app.post(to, { host, gone: true }, who)
    expect((await tell(path(`/${id}`), 'daq-2')).status).toBe(403)
    expect(await tell(path(`/${id}`), 'daq-2', machineCaller('daq-2', 'push:LNGS'))).toMatchObject({
      status: 404,
      json: { detail: expect.stringContaining('has no permission') },
    })
    expect((await tell(path(`/${id + 1}`))).status).toBe(404)
    expect((await tell(path(`/${id}`).replace('LNGS', 'LNF'))).status).toBe(403)
    expect((await tell(path(`/${id}`).replace(`run0000${number}`, 'run00099'))).status).toBe(404)
    expect((await tell(path('/x'))).status).toBe(404)
    expect((await app.post(path(`/${id}`), { gone: true }, DAQ)).status).toBe(400)
    expect(await local()).toMatchObject({ state: 'deleting' })
    expect((await app.post(path(`/${id}`), { host: 'daq-1', gone: false }, DAQ)).json).toEqual({
      state: 'withdrawn',
    })
    expect(await local()).toMatchObject({ state: 'present' })
  })
})
