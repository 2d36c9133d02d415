/**
 * Runs pushed with only an API token: the same push as with credentials for the store, except that the signatures
 * are from the API.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PushContext, type PushOptions, pushFile } from '../../../../cli/push/push-file.ts'
import { openRemoteStore, type RemoteStore } from '../../../../cli/push/remote-store.ts'
import { createHandler } from '../../../../functions/catalog-api/handler.ts'
import { createToken, revokeTokens } from '../../../../shared/access/tokens.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { serveHttp } from '../../../../shared/runtime/http.ts'
import { record } from '../../../support/catalogue.ts'
import { metadataOf, versionOf } from '../../../support/metadata.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const MIB = 1024 ** 2
const OPTIONS: PushOptions = { partSizeBytes: 5 * MIB, concurrency: 2, overwrite: false, dryRun: false }
const never = new AbortController().signal

describe('with an API token and no other credentials', () => {
  let context: TestTapeContext
  let url: string
  let folder: string
  const stop = new AbortController()
  const opened: RemoteStore[] = []
  /** Number of the following requests that the API answers with 503. */
  let outage = 0
  const signedRequests: string[] = []
  /** The API answers only after this. */
  let isReady: Promise<unknown> = Promise.resolve()

  beforeAll(async () => {
    context = await startTestTapeContext()
    folder = mkdtempSync(join(tmpdir(), 'cygnet-push-remote-'))
    const api = createHandler(context)
    const app = {
      async fetch(request: Request) {
        await isReady
        if (outage-- > 0) return new Response('down', { status: 503 })
        if (request.method === 'POST') {
          const { method, query } = (await request.clone().json()) as {
            method: string
            query: Record<string, string>
          }
          signedRequests.push([method, ...Object.keys(query).filter((name) => name !== 'x-id')].join(' '))
        }
        return await api.fetch(request)
      },
    }
    const host = await serveHttp({
      app,
      log: context.log,
      signal: stop.signal,
      hostname: '127.0.0.1',
      idleSeconds: 0,
    })
    url = `http://127.0.0.1:${host.port}`
  })
  afterAll(async () => {
    for (const store of opened) store.close()
    stop.abort()
    await context?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const makeToken = (scopes: readonly string[], at = new Date()) =>
    createToken(context.database, { name: 'daq', scopes, days: 1 }, at)

  /** The settings of the DAQ machine: an address and a token, and no settings of the store. */
  const open = async (token: string, apiUrl = url, newTag = false) => {
    const environment = {
      CYGNET_DATABASE_URL: 'mysql://none@localhost/none',
      CYGNET_API_URL: apiUrl,
      CYGNET_API_TOKEN: token,
    }
    const store = await openRemoteStore(loadConfig(environment), never, newTag)
    opened.push(store)
    return store
  }
  const openFor = async (...scopes: readonly string[]) => await open((await makeToken(scopes)).secret)
  const push = async (store: RemoteStore, path: string, key: string, options: Partial<PushOptions> = {}) => {
    const pushing: PushContext = {
      s3: store.s3,
      store: 'api',
      stateFolder: join(folder, 'state'),
      signal: never,
    }
    return await pushFile(path, { bucket: store.buckets[0] ?? '', key }, { ...OPTIONS, ...options }, pushing)
  }

  let runNumber = 500
  function newRun(sizeBytes: number) {
    const name = `run${String(++runNumber).padStart(5, '0')}.mid.gz`
    const path = join(folder, name)
    const bytes = randomBytes(sizeBytes)
    writeFileSync(path, bytes)
    return { path, bytes, key: `LNGS/${name}` }
  }
  const stored = async (key: string) => {
    const { Body } = await context.s3.send(new GetObjectCommand({ Bucket: context.bucket, Key: key }))
    return Buffer.from((await Body?.transformToByteArray()) ?? [])
  }
  const keys = async (prefix: string) => {
    const { Contents = [] } = await context.s3.send(
      new ListObjectsV2Command({ Bucket: context.bucket, Prefix: prefix }),
    )
    return Contents.map(({ Key }) => Key)
  }

  it('a small file is sent with an API token and compared', async () => {
    const { path, bytes, key } = newRun(300_000)
    const store = await openFor('push:LNGS')
    expect(await push(store, path, key)).toMatchObject({
      state: 'uploaded',
      error: null,
      sentBytes: bytes.length,
    })
    expect((await stored(key)).equals(bytes)).toBe(true)
    expect(await push(store, path, key)).toMatchObject({ state: 'already-there', sentBytes: 0 })
  })

  it('a large file is sent in parts, each with its own signature', async () => {
    const { path, bytes, key } = newRun(12 * MIB)
    const store = await openFor('push:LNGS')
    signedRequests.length = 0
    expect(await push(store, path, key)).toMatchObject({ state: 'uploaded', error: null, partCount: 3 })
    expect((await stored(key)).equals(bytes)).toBe(true)
    expect(signedRequests.filter((request) => request === 'PUT uploadId partNumber')).toHaveLength(3)
    expect(signedRequests).toEqual(expect.arrayContaining(['HEAD', 'POST uploads', 'POST uploadId']))
  })

  it('names that need escaping are stored unchanged', async () => {
    const { path, bytes } = newRun(1000)
    const key = "FLASH 2024/é+&%(1)'/run00001.mid.gz"
    const store = await openFor("push:FLASH 2024/é+&%(1)'")
    expect(await push(store, path, key)).toMatchObject({ state: 'uploaded', error: null })
    expect((await stored(key)).equals(bytes)).toBe(true)
  })

  it('a tag that the catalogue does not know needs a token that names it, or the word that it is new', async () => {
    await record(context.database, versionOf('LNGS/run00400.mid.gz', 'e'), metadataOf(400))
    const { path, bytes } = newRun(1000)
    const key = 'lngs/run00401.mid.gz'
    const { secret } = await makeToken(['push:*'])
    const refused = await push(await open(secret), path, key)
    expect(refused).toMatchObject({ state: 'refused', sentBytes: 0 })
    expect(refused.error).toContain('no run of the tag lngs yet, but of LNGS')
    expect(await keys('lngs/')).toEqual([])
    expect(await push(await open(secret, url, true), path, key)).toMatchObject({ state: 'uploaded' })
    expect((await stored(key)).equals(bytes)).toBe(true)
  })

  it('another object under the key is kept, unless the token has the right to replace it', async () => {
    const [first, second] = [newRun(10_000), newRun(12 * MIB)]
    await push(await openFor('push:LNGS'), first.path, first.key)
    const store = await openFor('push:LNGS')
    expect(await push(store, second.path, first.key)).toMatchObject({
      state: 'refused',
      error: expect.stringContaining('another object'),
    })
    const forbidden = await push(store, second.path, first.key, { overwrite: true })
    expect(forbidden).toMatchObject({
      state: 'refused',
      error: expect.stringMatching(/may not replace objects of LNGS.*overwrite:LNGS/),
    })
    expect((await stored(first.key)).equals(first.bytes)).toBe(true)
    const allowed = await push(await openFor('overwrite:LNGS'), second.path, first.key, { overwrite: true })
    expect(allowed).toMatchObject({ state: 'uploaded', error: null })
    expect((await stored(first.key)).equals(second.bytes)).toBe(true)
  })

  it('a tag without a right of the token is refused with a sentence, and nothing is sent', async () => {
    const { path } = newRun(1000)
    const result = await push(await openFor('push:LNF', 'push:MAN'), path, 'LNGS/run00009.mid.gz')
    expect(result).toMatchObject({ state: 'refused', sentBytes: 0 })
    expect(result.error).toBe(
      'the API refuses this: this token may not push runs of LNGS; it has push:LNF, push:MAN',
    )
    expect(await keys('LNGS/run00009')).toEqual([])
  })

  it('an expired token is reported before anything else', async () => {
    const { secret } = await makeToken(['push:LNGS'], new Date(Date.now() - 48 * 3_600_000))
    await expect(open(secret)).rejects.toThrow(
      /does not accept CYGNET_API_TOKEN: the API token "daq" expired on .*cygnet token create/,
    )
    await expect(open(secret)).rejects.toMatchObject({ name: 'TransientError', details: { operator: true } })
  })

  it('a token that is revoked during an upload ends it; the next token resumes with the parts that arrived', async () => {
    const { path, bytes, key } = newRun(16 * MIB)
    const { id, secret } = await makeToken(['push:LNGS'])
    const store = await open(secret)
    let parts = 0
    const pushing: PushContext = {
      s3: store.s3,
      store: 'api',
      stateFolder: join(folder, 'state'),
      signal: never,
      onProgress({ phase, doneBytes }) {
        if (phase === 'sending' && doneBytes >= 6 * MIB && parts++ === 0)
          isReady = revokeTokens(context.database, String(id), new Date())
      },
    }
    const broken = await pushFile(
      path,
      { bucket: context.bucket, key },
      { ...OPTIONS, concurrency: 1 },
      pushing,
    )
    expect(broken).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/"daq" was revoked.*the parts that arrived are kept/s),
    })
    const resumed = await push(await openFor('push:LNGS'), path, key)
    expect(resumed).toMatchObject({ state: 'uploaded', error: null })
    expect(resumed.sentBytes).toBeLessThan(bytes.length)
    expect((await stored(key)).equals(bytes)).toBe(true)
  })

  it('a short failure of the API is waited for', async () => {
    const { path, bytes, key } = newRun(20_000)
    const store = await openFor('push:LNGS')
    outage = 2
    expect(await push(store, path, key)).toMatchObject({ state: 'uploaded', error: null })
    expect((await stored(key)).equals(bytes)).toBe(true)
  })

  it('an API that fails for long, or is another service, is reported', async () => {
    await expect(open('cyg_x', 'http://127.0.0.1:9')).rejects.toThrow(
      /the API at 127\.0\.0\.1:9 cannot be reached/,
    )
    await expect(open('cyg_x', 'http://127.0.0.1:9')).rejects.toThrow(TransientError)
    const other = await serveHttp({
      app: { fetch: () => new Response('<html>') },
      log: context.log,
      signal: stop.signal,
      hostname: '127.0.0.1',
      idleSeconds: 0,
    })
    await expect(open('cyg_x', `http://127.0.0.1:${other.port}`)).rejects.toThrow(/is not from the API/)
    const away = { fetch: () => new Response(null, { status: 302, headers: { location: url } }) }
    const redirecting = await serveHttp({
      app: away,
      log: context.log,
      signal: stop.signal,
      hostname: '127.0.0.1',
      idleSeconds: 0,
    })
    const { secret } = await makeToken(['push:LNGS'])
    await expect(open(secret, `http://127.0.0.1:${redirecting.port}`)).rejects.toThrow(/cannot be reached/)
  })

  it('the copies of a file are read from the catalogue', async () => {
    const store = await openFor('push:LNGS')
    const object = { bucket: context.bucket, key: 'LNGS/run00042.mid.gz' }
    expect(await store.copiesOf(object, never)).toBeNull()
    const metadata = metadataOf(42)
    const version = {
      ...object,
      versionId: null,
      etag: createHash('md5').digest('hex'),
      sizeBytes: metadata.sizeBytes,
      lastModified: new Date(),
    }
    await record(context.database, version, metadata)
    expect(await store.copiesOf(object, never)).toMatchObject({
      sha256: metadata.checksums.sha256,
      safe: false,
      cloud: { state: 'present' },
    })
  })

  it('a token is not sent in clear text over a network', async () => {
    await expect(open('cyg_x', 'http://api.example.org')).rejects.toThrow(/CYGNET_API_URL must be https/)
  })

  it('an address that holds a password is refused, and not repeated', async () => {
    const opening = open('cyg_x', 'https://user:hush@api.example.org')
    await expect(opening).rejects.toThrow(/CYGNET_API_URL must not contain/)
    await expect(opening).rejects.not.toThrow(/hush/)
  })

  it('an answer without an end is cut off', async () => {
    const endless = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)),
        }),
      )
    const bomb = await serveHttp({
      app: { fetch: endless },
      log: context.log,
      signal: stop.signal,
      hostname: '127.0.0.1',
      idleSeconds: 0,
    })
    await expect(open('cyg_x', `http://127.0.0.1:${bomb.port}`)).rejects.toThrow(/more than \d+ bytes/)
  })

  it('the tags and buckets of a token are read at the start', async () => {
    const store = await openFor('push:LNGS', 'push:LNF')
    expect(store).toMatchObject({
      tags: ['LNGS', 'LNF'],
      buckets: [context.bucket],
      endpoint: context.config.store.endpoint,
    })
  })
})
