/**
 * Copies on a real XRootD server over TLS with bearer tokens, pulled by the server from the S3 store or streamed
 * through us, and checked again by gfal2-util, the client of the grid.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startXrootd, type Xrootd } from '../../infra/local/services/xrootd/xrootd.ts'
import { setUp } from '../../infra/local/setup.ts'
import { startTestStore, temporaryFolder } from '../../infra/local/testing.ts'
import { loadConfig } from '../../shared/config/config.ts'
import { TransientError } from '../../shared/errors.ts'
import { createS3Client } from '../../shared/storage/client.ts'
import { describeObject, readObject } from '../../shared/storage/objects.ts'
import type { CopySource, TapeDriver, TapeFile } from '../../shared/tape/driver.ts'
import { createWebdavDriver, type WebdavOptions } from '../../shared/tape/webdav/webdav.ts'
import { driverConformance } from '../support/tape/conformance.ts'
import { fingerprint, freshName, tapeFileOf } from '../support/tape/files.ts'
import { startSourceServer } from '../support/tape/sources.ts'
import { LONGEST_WAIT_MS, until } from '../support/waiting.ts'

const never = new AbortController().signal
const MB = 1_000_000
const folder = temporaryFolder()
let xrootd: Xrootd
let hasDied = false
let s3: S3Client
let bucket: string

beforeAll(async () => {
  await setUp({ extras: ['xrootd'] })
  await start()
  const store = await startTestStore()
  bucket = store.bucket
  s3 = createS3Client(
    loadConfig({ CYGNET_DATABASE_URL: 'mysql://nobody@127.0.0.1/none', ...store.environment }),
  )
})
/**
 * XRootD 5.5 crashes sometimes (a segmentation fault in its TLS); in production systemd restarts it.
 */
beforeEach(async () => {
  if (!hasDied) return
  console.warn('XRootD has died, and is started again')
  await start(Number(new URL(xrootd.url.replace('davs:', 'https:')).port))
})
afterAll(async () => {
  s3?.destroy()
  await xrootd?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function start(port?: number): Promise<void> {
  const started = await startXrootd({ dataFolder: folder, ...(port === undefined ? {} : { port }) })
  xrootd = started
  hasDied = false
  started.ended.then(() => {
    if (xrootd === started) hasDied = true
  })
}

/**
 * With the retry policy of the functions: XRootD 5.5 sometimes does not answer on a connection, and the request is
 * repeated.
 */
const openDriver = (options: Partial<WebdavOptions> = {}): TapeDriver =>
  createWebdavDriver({
    rootUrl: xrootd.url,
    caFile: xrootd.caFile,
    token: { token: async () => xrootd.token(3600), refused: () => {} },
    thirdParty: 'auto',
    tapeRest: 'auto',
    copySeconds: 120,
    ...options,
    limits: { settleSeconds: 0.5, silenceSeconds: 30, ...options.limits },
  })

/** Puts a run into the S3 store; its source reads and signs like request-tape-copy. */
async function dropped(
  bytes: Buffer,
  tag = 'LNGS',
): Promise<{ file: TapeFile; source: CopySource & { opened: number } }> {
  const key = `${tag}/${randomBytes(6).toString('hex')}/run12345.mid.gz`
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }))
  const version = await describeObject(s3, { bucket, key }, never)
  if (version === null) throw new Error('the object is not there')
  const source = {
    object: { bucket, key },
    opened: 0,
    open(signal: AbortSignal) {
      source.opened += 1
      return readObject(s3, version, signal)
    },
    presign: (expiresIn: number) =>
      getSignedUrl(s3, new GetObjectCommand({ Bucket: bucket, Key: key }), { expiresIn }),
  }
  return { file: await tapeFileOf(bytes, `${bucket}/${key}`), source }
}

const placeOf = (name: string) => join(xrootd.filesFolder, 'cygno', name)

/** Writes a file directly into the folder of the endpoint, as its user where that is another. */
function plant(name: string, bytes: Uint8Array): void {
  const owner = statSync(xrootd.filesFolder)
  for (let path = dirname(name), missing: string[] = []; ; path = dirname(path)) {
    if (path !== '.' && !existsSync(placeOf(path))) missing = [path, ...missing]
    else {
      for (const each of ['', ...missing]) {
        mkdirSync(placeOf(each), { recursive: true })
        chownSync(placeOf(each), owner.uid, owner.gid)
      }
      break
    }
  }
  rmSync(placeOf(name), { force: true }) // with the checksum that XRootD keeps in an attribute of the file
  writeFileSync(placeOf(name), bytes)
  chownSync(placeOf(name), owner.uid, owner.gid)
}

/** Runs a program of gfal2-util and returns its output. */
async function gfal(program: string, ...args: string[]): Promise<string> {
  const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: folder, BEARER_TOKEN: xrootd.token(3600) }
  const trust = { X509_CERT_DIR: xrootd.caFolder, SSL_CERT_FILE: xrootd.caFile }
  const { stdout } = await promisify(execFile)(program, args, {
    env: { ...environment, ...trust },
    timeout: LONGEST_WAIT_MS,
  })
  return stdout
}

async function expectGfalToAgree(file: TapeFile): Promise<void> {
  const url = `${xrootd.url}${file.name}`
  expect((await gfal('gfal-sum', url, 'ADLER32')).trim().split(/\s+/)).toEqual([url, file.adler32])
  expect((await gfal('gfal-ls', '-l', url)).trim().split(/\s+/)[4]).toBe(String(file.sizeBytes))
}

driverConformance(
  'webdav (a real XRootD, third-party copy)',
  async () => {
    const [driver, store] = [
      openDriver({ limits: { settleSeconds: 0.2, withoutThirdPartySeconds: 0 } }),
      await startSourceServer(),
    ]
    return {
      driver,
      plant: async (name, bytes) => plant(name, bytes),
      bytesAt: async (name) => (existsSync(placeOf(name)) ? readFileSync(placeOf(name)) : null),
      settle: async () => {},
      makeSource: store.source,
      close: async () => void (await Promise.all([driver.close(), store.close()])),
    }
  },
  { cutsNames: true },
)

describe('on a real XRootD', () => {
  test('the endpoint pulls a run from a presigned link, without a byte through us, and gfal2 agrees', async () => {
    const driver = openDriver()
    const { file, source } = await dropped(randomBytes(30 * MB))
    const result = await driver.copy(file, source, { attempt: 1 }, never)
    expect(result).toEqual({
      kind: 'stored',
      how: 'third-party',
      // Without a Tape REST API it is assumed.
      assumedSince: expect.any(Date),
      bytesThroughUs: 0,
      verifiedBy: 'adler32 stated by the endpoint',
      evidence: 'stored-checksum',
      onMedia: true,
    })
    expect(source.opened).toBe(0)
    await expectGfalToAgree(file)
    expect(await driver.check(file, { reference: null, readBack: 'always' }, never)).toMatchObject({
      kind: 'present',
    })
    await driver.close()
  })

  test('a run is streamed through us, and gfal2 agrees', async () => {
    const driver = openDriver({ thirdParty: 'never' })
    const { file, source } = await dropped(randomBytes(30 * MB))
    expect(await driver.copy(file, source, { attempt: 1 }, never)).toMatchObject({
      how: 'streamed',
      bytesThroughUs: file.sizeBytes,
    })
    await expectGfalToAgree(file)
    expect(readdirSync(dirname(placeOf(file.name)))).toEqual(['run12345.mid.gz'])
    await driver.close()
  })

  test('a run is brought back into the store, pushed by the endpoint or read by us', async () => {
    const driver = openDriver()
    const { file, source } = await dropped(randomBytes(5 * MB))
    await driver.copy(file, source, { attempt: 1 }, never)
    expect(await driver.stage(file, { reference: null, lifetimeSeconds: 3600 }, never)).toEqual({
      kind: 'online',
      reference: null,
    })
    const recalled = { Bucket: bucket, Key: `recalled/${file.name}` }
    const link = await getSignedUrl(s3, new PutObjectCommand(recalled), { expiresIn: 600 })
    expect(await driver.send?.(file, link, never)).toBe('sent')
    const back = await s3.send(new GetObjectCommand(recalled))
    expect(fingerprint((await back.Body?.transformToByteArray()) ?? null)).toBe(file.sha256)
    expect(fingerprint(Buffer.concat(await Array.fromAsync(driver.read(file, never))))).toBe(file.sha256)
    await driver.close()
  })

  test.each(['LNGS test+1', 'Frascati é', 'LNGS%20test'])(
    'a run of the tag %s is copied, checked, listed and recalled, and nothing else is left',
    async (tag) => {
      for (const thirdParty of ['auto', 'never'] as const) {
        const driver = openDriver({ thirdParty })
        const { file, source } = await dropped(randomBytes(MB), tag)
        expect(await driver.copy(file, source, { attempt: 1 }, never)).toMatchObject({
          kind: 'stored',
          how: thirdParty === 'auto' ? 'third-party' : 'streamed',
        })
        expect(await driver.check(file, { reference: null, readBack: 'always' }, never)).toMatchObject({
          kind: 'present',
          evidence: 'read',
        })
        const folderOfFile = file.name.slice(0, file.name.lastIndexOf('/') + 1)
        expect(await Array.fromAsync(driver.list?.(folderOfFile, never) ?? [])).toEqual([
          { name: file.name, sizeBytes: MB },
        ])
        expect(readdirSync(dirname(placeOf(file.name)))).toEqual(['run12345.mid.gz'])
        expect(readdirSync(placeOf(bucket)).filter((name) => name.startsWith('.'))).toEqual([])
        expect(fingerprint(Buffer.concat(await Array.fromAsync(driver.read(file, never))))).toBe(file.sha256)
        const recalled = { Bucket: bucket, Key: `recalled/${file.name}` }
        const link = await getSignedUrl(s3, new PutObjectCommand(recalled), { expiresIn: 600 })
        expect(await driver.send?.(file, link, never)).toBe(thirdParty === 'auto' ? 'sent' : 'unsupported')
        await driver.close()
      }
      const tags = readdirSync(placeOf(bucket))
      expect(tags).not.toContain(encodeURIComponent(tag))
    },
  )

  test('wrong bytes under the name are found and kept', async () => {
    const driver = openDriver()
    const { file, source } = await dropped(randomBytes(MB))
    const wrong = randomBytes(MB)
    plant(file.name, wrong)
    expect(await driver.check(file, { reference: null, readBack: 'if-needed' }, never)).toMatchObject({
      kind: 'different',
    })
    expect(await driver.copy(file, source, { attempt: 1 }, never)).toMatchObject({ kind: 'occupied' })
    expect(fingerprint(readFileSync(placeOf(file.name)))).toBe(fingerprint(wrong))
    await driver.close()
  })

  test('when the endpoint is killed during a copy and started again, the next attempt is verified', async () => {
    const driver = openDriver({ copySeconds: 60 })
    const bytes = randomBytes(8 * MB)
    const file = await tapeFileOf(bytes, freshName())
    let slow = true
    // A store that gives the first megabyte and then lets the endpoint wait, so that the kill falls in the
    // middle.
    const store = createServer((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length })
      if (slow) response.write(bytes.subarray(0, MB))
      else response.end(bytes)
    }).listen(0, '127.0.0.1')
    store.keepAliveTimeout = 0
    await once(store, 'listening')
    const link = `http://127.0.0.1:${(store.address() as AddressInfo).port}/run?X-Amz-Signature=secret`
    const source = {
      object: { bucket: 'b', key: 'k' },
      open: () => Readable.from([bytes]),
      presign: async () => link,
    }
    const copying = driver.copy(file, source, { attempt: 1 }, never).catch((error: unknown) => error)
    const folderOfFile = dirname(placeOf(file.name))
    await until(() => existsSync(folderOfFile) && readdirSync(folderOfFile).length > 0)
    const { port } = new URL(xrootd.url.replace('davs:', 'https:'))
    process.kill(xrootd.pid, 'SIGKILL')
    await xrootd.ended
    expect(await copying).toBeInstanceOf(TransientError)
    await start(Number(port))
    expect(await driver.check(file, { reference: null, readBack: 'if-needed' }, never)).toEqual({
      kind: 'absent',
    })
    slow = false
    expect(await driver.copy(file, source, { attempt: 2 }, never)).toMatchObject({
      kind: 'stored',
      how: 'third-party',
      bytesThroughUs: 0,
    })
    await expectGfalToAgree(file)
    expect(readdirSync(folderOfFile)).toEqual(['run12345.mid.gz'])
    store.closeAllConnections()
    store.close()
    await driver.close()
  })

  test('without a token, or with an expired one, nothing is written and the error states it', async () => {
    const { file, source } = await dropped(randomBytes(1000))
    const expired = xrootd.token(-60)
    for (const token of [null, expired]) {
      const driver = openDriver({ token: { token: async () => token, refused: () => {} } })
      await expect(driver.copy(file, source, { attempt: 1 }, never)).rejects.toThrow(
        /our token does not allow this/,
      )
      await driver.close()
    }
    expect(existsSync(placeOf(file.name))).toBe(false)
  })

  test('the certificate of the endpoint is checked', async () => {
    const { file } = await dropped(randomBytes(10))
    const driver = openDriver({ caFile: undefined })
    await expect(driver.check(file, { reference: null, readBack: 'never' }, never)).rejects.toThrow(
      /not from a trusted authority/,
    )
    await driver.close()
  })

  test('the files at the endpoint are listed with their sizes', async () => {
    const driver = openDriver()
    const { file, source } = await dropped(randomBytes(1234))
    await driver.copy(file, source, { attempt: 1 }, never)
    const listed = await Array.fromAsync(driver.list?.(`${bucket}/LNGS/`, never) ?? [])
    expect(listed).toContainEqual({ name: file.name, sizeBytes: 1234 })
    await driver.close()
  })
})
