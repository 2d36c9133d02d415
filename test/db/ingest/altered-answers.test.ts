/** Arrivals at a store behind a proxy that changes its answers, and copies that are verified there. */
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runFileBytes } from '../../../cli/simulate/write.ts'
import { findArrival } from '../../../shared/catalogue/arrivals.ts'
import { versionInStore } from '../../../shared/copies/delete/deletion-rules.ts'
import { findFiles } from '../../../shared/copies/links/find-files.ts'
import { checkObject } from '../../../shared/copies/verify/check-replica.ts'
import { processDue } from '../../../shared/ingest/due-arrivals.ts'
import { processArrival } from '../../../shared/ingest/process-arrival.ts'
import { reconcile } from '../../../shared/ingest/reconcile.ts'
import { planReplay, replay } from '../../../shared/ingest/replay.ts'
import { describeRun, findRuns } from '../../../shared/queries/runs.ts'
import { presignGet } from '../../../shared/storage/links.ts'
import { drainRaised } from '../../support/alerts.ts'
import { type AlteringProxy, startAlteringProxy, unaltered } from '../../support/altering-proxy.ts'
import { arrivalOf, signal, startTestContext, type TestContext } from '../../support/context.ts'

let context: TestContext
let proxy: AlteringProxy
beforeAll(async () => {
  proxy = await startAlteringProxy()
  context = await startTestContext({ CYGNET_S3_ENDPOINT: proxy.origin })
  proxy.target = String(context.store.environment.CYGNET_S3_ENDPOINT)
})
afterAll(async () => {
  await context.close()
  await proxy.close()
})
beforeEach(async () => {
  proxy.alter = unaltered
  await drainRaised(context)
  await context.drain('tape-requests')
})

let last = 0
const nextRun = () => {
  last += 1
  return { run: last, key: `LNGS/run${String(last).padStart(5, '0')}.mid.gz` }
}
const bytesOf = (runNumber: number) => runFileBytes({ runNumber, camera: 32, events: 12, digitizers: false })
const process = (key: string) =>
  processArrival(context, arrivalOf(context.bucket, key, null), signal, context.log)
async function fileOf(runNumber: number) {
  const [run] = await findRuns(context.database, { runNumber })
  if (run === undefined) throw new Error(`run ${runNumber} is not catalogued`)
  const [file] = (await describeRun(context.database, run)).files
  if (file === undefined) throw new Error(`run ${runNumber} has no file`)
  return file
}
const copyOf = (key: string) =>
  context.database.selectFrom('replicas').selectAll().where('objectKey', '=', key).executeTakeFirstOrThrow()

describe('a gateway without its store', () => {
  test('answers 404 to everything: no run counts as gone, one outage is recorded, and all are catalogued later', async () => {
    const keys: string[] = []
    for (let count = 0; count < 4; count++) {
      const { run, key } = nextRun()
      keys.push(key)
      await context.put(key, await bytesOf(run))
    }
    proxy.alter = (answer) => {
      answer.status = 404
      answer.headers = { 'content-type': 'text/html' }
      answer.body = Buffer.from('<html>404 Not Found</html>')
    }
    for (const key of keys) await process(key)
    const rows = await context.database
      .selectFrom('arrivals')
      .select(['state', 'outcome', 'attempts', 'reason'])
      .where('objectKey', 'in', keys)
      .execute()
    expect(rows).toHaveLength(keys.length)
    for (const row of rows)
      expect(row).toMatchObject({ outcome: null, reason: expect.stringContaining('has no bucket') })
    expect(await drainRaised(context)).toEqual([])
    proxy.alter = unaltered
    for (const key of keys) expect(await process(key)).toBe('catalogued')
  })

  test('and a copy of which it says so is not found missing', async () => {
    const { run, key } = nextRun()
    await context.put(key, await bytesOf(run))
    await process(key)
    proxy.alter = (answer) => void Object.assign(answer, { status: 404, body: Buffer.from('') })
    expect(await checkObject(context, await copyOf(key), 'never', signal)).toMatchObject({
      kind: 'unknown',
      reason: expect.stringContaining('has no bucket'),
    })
  })
})

describe('a store whose HEAD states no length', () => {
  test('has its runs catalogued as good ones, and their copies verified', async () => {
    const { run, key } = nextRun()
    proxy.alter = (answer, { method }) => {
      if (method === 'HEAD') delete answer.headers['content-length']
    }
    const bytes = await bytesOf(run)
    await context.put(key, bytes)
    expect(await process(key)).toBe('catalogued')
    expect(await fileOf(run)).toMatchObject({
      complete: true,
      sizeBytes: bytes.length,
      integrity: 'verified',
    })
    const copy = await copyOf(key)
    for (const readBack of ['never', 'always'] as const)
      expect(await checkObject(context, copy, readBack, signal)).toMatchObject({ kind: 'verified' })
    expect(await drainRaised(context)).toEqual([])
  })

  test('and nothing else states one: the arrival is tried again, never invalid', async () => {
    const { key } = nextRun()
    const arrival = await context.put(key, await bytesOf(last))
    proxy.alter = (answer, { method, url }) => {
      if (method === 'HEAD') delete answer.headers['content-length']
      else if (method === 'GET' && (url.searchParams.has('list-type') || url.pathname.endsWith(key)))
        Object.assign(answer, { status: 403, body: Buffer.from('') })
    }
    await process(key)
    const found = await context.database
      .selectFrom('arrivals')
      .selectAll()
      .where('objectKey', '=', key)
      .executeTakeFirstOrThrow()
    expect(found).toMatchObject({
      state: 'received',
      reason: expect.stringContaining('does not state the size'),
    })
    proxy.alter = unaltered
    expect(await process(key)).toBe('catalogued')
    expect((await findArrival(context.database, arrival))?.state).toBe('done')
  })

  test.each(['0', '17'])(
    'states %s bytes of a good copy: it is not compared, and not suspicious',
    async (length) => {
      const { run, key } = nextRun()
      await context.put(key, await bytesOf(run))
      await process(key)
      proxy.alter = (answer, { method }) => {
        if (method === 'HEAD') answer.headers['content-length'] = length
      }
      expect(await checkObject(context, await copyOf(key), 'always', signal)).toMatchObject({
        kind: 'unknown',
      })
    },
  )
})

describe('an object that is deleted while it is read', () => {
  test('is catalogued, but not as present in the store, when no other version is known', async () => {
    const { run, key } = nextRun()
    const arrival = await context.put(key, await bytesOf(run))
    proxy.alter = async (_, { method, url }) => {
      if (method !== 'GET' || !url.pathname.endsWith(key)) return
      proxy.alter = unaltered
      await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
    }
    expect(await processArrival(context, arrival, signal, context.log)).toBe('catalogued')
    expect(await fileOf(run)).toMatchObject({ complete: true })
    expect((await copyOf(key)).state).toBe('missing')
  })
})

/** Has the store state another ETag for a key, and compare with that one. */
function serveEtag(key: string, etag: string) {
  proxy.alter = (answer, { url }) => {
    if (url.pathname.endsWith(key)) answer.headers.etag = `"${etag}"`
    else answer.body = Buffer.from(String(answer.body).replaceAll(/(?<=<ETag>)[^<]*/g, `"${etag}"`))
  }
  context.s3.middlewareStack.add(
    (next) => (args) => {
      const { IfMatch: _, ...input } = args.input as { IfMatch?: string }
      return next({ ...args, input: input as typeof args.input })
    },
    { step: 'initialize', name: 'withoutCondition', override: true },
  )
}

describe('an ETag in the form of an MD5 that is not the MD5 of the contents', () => {
  const OTHER = '0123456789abcdef0123456789abcdef'
  afterEach(() => context.s3.middlewareStack.remove('withoutCondition'))

  test('is no mismatch: the run has a warning, nobody is paged, it goes to tape, and reading verifies its copy', async () => {
    const { run, key } = nextRun()
    await context.put(key, await bytesOf(run))
    serveEtag(key, OTHER)
    expect(await process(key)).toBe('catalogued')
    const file = await fileOf(run)
    expect(file).toMatchObject({ integrity: 'unstated', complete: true, etag: OTHER })
    expect(file.warnings).toContainEqual(expect.objectContaining({ code: 'etag-differs' }))
    expect(await drainRaised(context)).toEqual([])
    expect(await context.drain('tape-requests')).toHaveLength(1)
    const [linked] = await findFiles(context.database, { files: [{ bucket: context.bucket, key }] })
    expect(linked?.file.warning).toContain(`is unconfirmed: the ETag ${OTHER} is not the MD5`)
    const copy = await copyOf(key)
    expect(copy.state).toBe('present')
    expect(await checkObject(context, copy, 'never', signal)).toMatchObject({ kind: 'unknown' })
    expect(await checkObject(context, copy, 'if-needed', signal)).toMatchObject({ kind: 'verified' })
  })

  test.each([
    ['with an uploader that states the MD5', true],
    ['without', false],
  ])(
    '%s: a damaged object is found when it is read again, and what was catalogued still counts',
    async (_, isStated) => {
      const { run, key } = nextRun()
      const bytes = await bytesOf(run)
      const md5 = createHash('md5').update(bytes).digest('hex')
      await context.put(key, bytes, isStated ? { md5 } : {})
      expect(await process(key)).toBe('catalogued')
      expect(await fileOf(run)).toMatchObject({ integrity: 'verified' })
      const damaged = Buffer.from(bytes)
      damaged[damaged.length - 9] = (damaged.at(-9) ?? 0) ^ 1
      proxy.alter = (answer, { method, url }) => {
        if (method === 'GET' && url.pathname.endsWith(key)) answer.body = damaged
      }
      expect(await checkObject(context, await copyOf(key), 'always', signal)).toMatchObject({
        kind: 'different',
      })
      await replay(
        context,
        await planReplay(context, { by: 'key', bucket: context.bucket, key }, signal),
        signal,
      )
      await process(key)
      expect(await fileOf(run)).toMatchObject({ integrity: 'verified', md5 })
      expect(await copyOf(key)).toMatchObject({ state: 'suspicious', doubtedEvidence: 'read' })
      expect(await drainRaised(context)).toContainEqual(
        expect.objectContaining({ rule: 'last-copy-in-danger', severity: 'page' }),
      )
    },
  )

  test('and two readings that differ from each other are a fault of the reading: it is tried again', async () => {
    const { run, key } = nextRun()
    const bytes = await bytesOf(run)
    await context.put(key, bytes)
    let readings = 0
    proxy.alter = (answer, { method, url }) => {
      if (method !== 'GET' || !url.pathname.endsWith(key)) return
      readings += 1
      answer.body = Buffer.from(bytes)
      answer.body[bytes.length - 9] = readings
    }
    await process(key)
    const found = await context.database
      .selectFrom('arrivals')
      .selectAll()
      .where('objectKey', '=', key)
      .executeTakeFirstOrThrow()
    expect(found).toMatchObject({ state: 'received', reason: expect.stringContaining('two readings') })
  })
})

describe('an object that was stored with a Content-Encoding', () => {
  test('is catalogued by its stored bytes with a warning, and a link gives fetch the stored bytes, also a range of them', async () => {
    const { run, key } = nextRun()
    const bytes = await bytesOf(run)
    await context.s3.send(
      new PutObjectCommand({ Bucket: context.bucket, Key: key, Body: bytes, ContentEncoding: 'gzip' }),
    )
    // A proxy that decompresses what is declared as compressed.
    proxy.alter = (answer, { method, url }) => {
      if (method !== 'GET' || !url.pathname.endsWith(key)) return
      if (answer.headers['content-encoding'] !== 'gzip') return
      answer.body = gunzipSync(answer.body)
      delete answer.headers['content-encoding']
    }
    expect(await process(key)).toBe('catalogued')
    const file = await fileOf(run)
    expect(file).toMatchObject({ integrity: 'verified', sizeBytes: bytes.length })
    expect(file.warnings).toContainEqual(expect.objectContaining({ code: 'content-encoding' }))
    proxy.alter = unaltered
    const { url } = await presignGet(
      context.s3,
      { bucket: context.bucket, key },
      { seconds: 60, now: new Date() },
    )
    expect(Buffer.from(await (await fetch(url)).arrayBuffer())).toEqual(Buffer.from(bytes))
    const range = await fetch(url, { headers: { range: 'bytes=100-199' } })
    expect(Buffer.from(await range.arrayBuffer())).toEqual(Buffer.from(bytes.subarray(100, 200)))
  })

  test('is not reported for the framing of an upload, which some stores keep', async () => {
    const { run, key } = nextRun()
    await context.put(key, await bytesOf(run))
    proxy.alter = (answer) => {
      answer.headers['content-encoding'] = 'aws-chunked'
    }
    await process(key)
    expect((await fileOf(run)).warnings).toEqual([])
  })
})

describe('an odd object in a bucket', () => {
  /** The store states another date of the object, or none. */
  const dateIs = (key: string, date: string | null) => {
    proxy.alter = (answer, { url }) => {
      if (decodeURIComponent(url.pathname).endsWith(key)) {
        if (date === null) delete answer.headers['last-modified']
        else answer.headers['last-modified'] = new Date(date).toUTCString()
      }
      if (!url.searchParams.has('list-type')) return
      const stated = date === null ? '' : `<LastModified>${date}</LastModified>`
      const entries = /<Contents>.*?<\/Contents>/gs
      const alterEntry = (entry: string) =>
        entry.includes(key) ? entry.replace(/<LastModified>.*?<\/LastModified>/, stated) : entry
      answer.body = Buffer.from(String(answer.body).replace(entries, alterEntry))
    }
  }
  const listing = (prefix: string) =>
    reconcile(context, { bucket: context.bucket, prefix, graceSeconds: 0 }, signal)
  const arrivalsOf = (prefix: string) =>
    context.database.selectFrom('arrivals').selectAll().where('objectKey', 'like', `${prefix}%`).execute()
  const named = (tag: string, run: number) => `${tag}/run${String(run).padStart(5, '0')}.mid.gz`
  async function three(tag: string, firstRun: number) {
    const keys = [0, 1, 2].map((more) => named(tag, firstRun + more))
    for (const [more, key] of keys.entries()) await context.put(key, await bytesOf(firstRun + more))
    return keys
  }

  test.each([
    ['no date', 'NODATE', 9001, null],
    ['a date of 1970', 'YEAR70', 9011, '1970-01-01T00:00:00.000Z'],
  ])(
    'with %s is read like the others, with a warning, and is too young to be deleted',
    async (_, tag, run, date) => {
      const before = new Date(Date.now() - 60_000)
      const [key = ''] = await three(tag, run)
      dateIs(key, date)
      expect(await listing(`${tag}/`)).toMatchObject({ listed: 3, runs: 3, announced: 3, undescribed: 0 })
      await processDue(context, context.bucket, signal, context.log)
      const found = await context.database
        .selectFrom('runFiles')
        .selectAll()
        .where('objectKey', '=', key)
        .execute()
      expect(found).toMatchObject([{ isHistory: false, warnings: [{ code: 'no-date' }] }])
      const [file] = found
      if (file === undefined) throw new Error('not catalogued')
      expect(file.lastModified.getTime()).toBeGreaterThan(before.getTime())
      expect(await listing(`${tag}/`)).toMatchObject({ announced: 0, undescribed: 0 })
      const version = { ...file, key, lastModified: before }
      expect(await versionInStore(context, version, 0, signal)).toMatchObject({ code: 'young' })
    },
  )

  test('that the store does not describe is an unfinished arrival of its own', async () => {
    const [key = ''] = await three('REFUSED', 9021)
    dateIs(key, null)
    const { alter } = proxy
    proxy.alter = (answer, request) => {
      alter(answer, request)
      if (request.method === 'HEAD' && request.url.pathname.endsWith(key)) answer.status = 403
    }
    for (let time = 0; time < 2; time++)
      expect(await listing('REFUSED/')).toMatchObject({ listed: 3, runs: 3, undescribed: 1, finished: true })
    await processDue(context, context.bucket, signal, context.log)
    const states = (await arrivalsOf('REFUSED/')).map(({ state, attempts }) => [state, attempts])
    expect(states.toSorted()).toEqual([
      ['done', 1],
      ['done', 1],
      ['received', 1],
    ])
    proxy.alter = unaltered
    await listing('REFUSED/')
    await context.database
      .updateTable('arrivals')
      .set({ nextAttemptAt: new Date(0) })
      .where('state', '=', 'received')
      .execute()
    await processDue(context, context.bucket, signal, context.log)
    expect((await arrivalsOf('REFUSED/')).map(({ state }) => state)).toEqual(['done', 'done', 'done'])
  })

  test('that is ignored or empty is not asked about', async () => {
    await context.put('EMPTY/marker/.keep', '')
    await context.put(named('EMPTY', 9031), '')
    const asked: string[] = []
    proxy.alter = (answer, { method, url }) => {
      if (method === 'HEAD' && url.pathname.includes('EMPTY')) asked.push(url.pathname)
      if (method === 'HEAD' && url.pathname.endsWith('.keep')) answer.status = 403
    }
    expect(await listing('EMPTY/')).toMatchObject({ listed: 2, runs: 1, announced: 1 })
    expect(asked).toEqual([])
  })
})
