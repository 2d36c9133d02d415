import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { ConflictError, InvalidInputError, TransientError } from '../../../shared/errors.ts'
import type { CopySource, TapeDriver, TapeFile } from '../../../shared/tape/driver.ts'
import { createFtsDriver, type FtsOptions } from '../../../shared/tape/fts/fts.ts'
import { ftsJobId } from '../../../shared/tape/fts/job-id.ts'
import type { TokenSource } from '../../../shared/tape/tokens/token-source.ts'
import { type FtsFault, type FtsServer, startFtsServer } from '../../support/fts-server.ts'
import { adler32Hex, type MemoryEndpoint, memoryEndpoint } from '../../support/memory-endpoint.ts'
import { driverConformance, tapeFileOf } from '../../support/tape/conformance.ts'
import { startSourceServer } from '../../support/tape/sources.ts'
import { holdTimeLimits } from '../../support/time-limits.ts'
import { LONGEST_WAIT_SECONDS } from '../../support/waiting.ts'

const { signal } = new AbortController()
const SECRET = 'X-Amz-Signature=0123456789abcdef'
const LINK = `https://s3.example.org/cygno-data/LNGS/run12345.mid.gz?X-Amz-Credential=AKIAEXAMPLE&${SECRET}`
const bytes = Buffer.from('the bytes of a run')
const lifetimes: number[] = []
const source: CopySource = {
  object: { bucket: 'cygno-data', key: 'LNGS/run12345.mid.gz' },
  open: () => {
    throw new Error('no byte goes through us')
  },
  presign: async (lifetimeSeconds) => {
    lifetimes.push(lifetimeSeconds)
    return LINK
  },
}

let fts: FtsServer
let endpoint: MemoryEndpoint
let driver: TapeDriver
let file: TapeFile
const fixed = (token: string): TokenSource => ({ token: async () => token, refused() {} })
const open = (more: Partial<FtsOptions> = {}) =>
  createFtsDriver({
    url: fts.url,
    tokens: fixed('fts-token'),
    vo: 'cygno',
    archiveSeconds: 86_400,
    destination: endpoint,
    timeoutSeconds: LONGEST_WAIT_SECONDS,
    ...more,
  })
const copy = (attempt = 1) => driver.copy(file, source, { attempt }, signal)
const check = (reference: string | null) => driver.check(file, { reference, readBack: 'if-needed' }, signal)
const submit = async (attempt = 1) => {
  const result = await copy(attempt)
  if (result.kind !== 'submitted') throw new Error(`not submitted: ${result.kind}`)
  return result.reference
}

beforeAll(async () => {
  fts = await startFtsServer({ vo: 'cygno' })
})
afterAll(() => fts.close())
beforeEach(async () => {
  fts.onHang = holdTimeLimits()
  endpoint = memoryEndpoint()
  driver = open()
  file = await tapeFileOf(bytes)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await driver.close()
})

describe('submitting', () => {
  it('a job requests verification at the destination, waits for the medium, and overwrites nothing', async () => {
    const reference = await submit()
    const body = fts.jobs.get(reference)?.body
    expect(body?.files).toEqual([
      {
        sources: [LINK],
        destinations: [endpoint.url(file.name)],
        checksum: `ADLER32:${file.adler32}`,
        filesize: bytes.length,
        activity: 'default',
        metadata: { issuer: 'cygnet', tag: 'LNGS', run: 12345 },
      },
    ])
    expect(body?.params).toMatchObject({
      verify_checksum: 'target',
      overwrite: false,
      archive_timeout: 86_400,
      id_generator: 'deterministic',
    })
  })

  it('the link is valid longer than the job can wait in the queue', async () => {
    const reference = await submit()
    expect(lifetimes.at(-1)).toBe(7 * 86_400)
    expect(Number(fts.jobs.get(reference)?.body.params.max_time_in_queue) * 3600).toBeLessThan(7 * 86_400)
  })

  it('the id of a job is known before it is submitted', () => {
    // Python: uuid.uuid5(uuid.uuid5(uuid.UUID('01874efb-4735-4595-bc9c-591aef8240c9'), 'cygno'),
    // 'cygnet:a/b:0123456789abcdef:1')
    expect(ftsJobId('cygno', 'cygnet:a/b:0123456789abcdef:1')).toBe('197612bb-ab08-59f1-8e52-53fdccdab6a1')
  })

  it('repeated requests for the same copy are one job; a new attempt is another', async () => {
    const first = await submit()
    expect(await submit()).toBe(first)
    expect(fts.jobs.get(first)?.body.params.sid).toBe(`cygnet:${file.name}:${file.sha256.slice(0, 16)}:1`)
    fts.setState(first, 'FAILED')
    expect(await submit(2)).not.toBe(first)
  })

  it.each<FtsFault>(['lose-reply', 'html', 'half'])(
    'a job whose reply is lost (%s) is found again, and not submitted twice',
    async (fault) => {
      fts.fail(fault)
      const before = fts.jobs.size
      const reference = await submit()
      expect(fts.jobs.has(reference)).toBe(true)
      expect(fts.jobs.size - before).toBe(1)
    },
  )

  it('a job is found also when FTS assigns us to another VO than the settings', async () => {
    driver = open({ vo: 'another' })
    fts.fail('lose-reply')
    expect(fts.jobs.has(await submit())).toBe(true)
  })

  it.each<FtsFault>(['drop', '503', 'hang'])('a job that FTS never got (%s) is no job', async (fault) => {
    fts.fail(fault)
    await expect(copy()).rejects.toThrow(TransientError)
    await submit()
  })

  it('after a lost reply of a silent service the outcome is reported as unknown', async () => {
    fts.fail('lose-reply', 'drop')
    await expect(copy()).rejects.toThrow(TransientError)
    expect(fts.jobs.has(await submit())).toBe(true)
  })

  it('another job that writes to the same place is waited for', async () => {
    await submit(1)
    await expect(copy(2)).rejects.toThrow(/another one is writing to davs:/)
    await expect(copy(2)).rejects.toThrow(TransientError)
  })

  it.each<[FtsFault, boolean]>([
    ['403', true],
    ['429', false],
  ])('a refusal with %s is reported; an operator is needed: %s', async (fault, operator) => {
    fts.fail(fault)
    const error = await copy().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransientError)
    expect((error as TransientError).details.operator === true).toBe(operator)
    expect((error as Error).message).not.toContain(SECRET)
  })

  it('an FTS that refuses an archive timeout with tokens gets the job without it: the endpoint states what is on media', async () => {
    fts.refuseArchiving(true)
    const reference = await submit().finally(() => fts.refuseArchiving(false))
    expect(fts.jobs.get(reference)?.body.params.archive_timeout).toBe(-1)
  })

  it('a source that is another object now gives no copy', async () => {
    const changed = { ...source, presign: () => Promise.reject(new ConflictError('the object changed')) }
    const before = fts.requests.length
    await expect(driver.copy(file, changed, { attempt: 1 }, signal)).rejects.toThrow(ConflictError)
    expect(fts.requests.length).toBe(before)
  })

  it('a refused token is renewed, once', async () => {
    const refused: string[] = []
    const tokens: TokenSource = {
      token: async () => (refused.length === 0 ? 'expired' : 'fts-token'),
      refused: (token) => void refused.push(token),
    }
    driver = open({ tokens })
    await submit()
    expect(refused).toEqual(['expired'])
    driver = open({ tokens: fixed('unknown') })
    await expect(copy(2)).rejects.toThrow(/HTTP 401/)
  })

  it('an address that is not FTS is reported', () => {
    expect(() => open({ url: 'fts.example.org' })).toThrow(InvalidInputError)
    expect(() => open({ url: 'https://u:hush@fts.example.org' })).toThrow(InvalidInputError)
  })
})

describe('following', () => {
  it.each([
    'SUBMITTED',
    'STAGING',
    'READY',
    'ACTIVE',
    'ARCHIVING',
    'QOS_TRANSITION',
    'TOKEN_PREP',
    'ON_HOLD',
  ])('a job that is %s is in progress, whatever is at the destination', async (state) => {
    const reference = await submit()
    endpoint.files.set(file.name, bytes)
    fts.setState(reference, state)
    expect(await check(reference)).toEqual({
      kind: 'in-progress',
      reason: `FTS job ${reference} is ${state}`,
    })
  })

  it.each(['A_STATE_OF_TOMORROW', 'finished', 'FINISHED ', 'ARCHIVED', 'NOT_USED', 'FAILED?'])(
    'a job that is %s, which is no known state, is neither ended nor silently in progress',
    async (state) => {
      const reference = await submit()
      fts.setState(reference, state)
      const unknown = {
        kind: 'in-progress',
        isUnknown: true,
        reason: `FTS job ${reference} is ${state.trim()}, which is not known to be in progress or ended`,
      }
      expect(await check(reference)).toMatchObject(unknown)
      endpoint.files.set(file.name, Buffer.from('the first bytes'))
      expect(await check(reference)).toMatchObject(unknown)
      // A whole file is there, whatever FTS calls that.
      endpoint.files.set(file.name, bytes)
      endpoint.onMedia = false
      expect(await check(reference)).toMatchObject({ kind: 'present', onMedia: false })
    },
  )

  it('a FINISHED job counts when the destination has the file', async () => {
    const reference = await submit()
    fts.setState(reference, 'FINISHED')
    expect(await check(reference)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('the file is not there'),
    })
    endpoint.files.set(file.name, bytes)
    endpoint.onMedia = false
    expect(await check(reference)).toMatchObject({ kind: 'present', onMedia: false })
    endpoint.files.set(file.name, Buffer.from('the bytes of a rum'))
    expect(await check(reference)).toMatchObject({ kind: 'different' })
    endpoint.down = true
    await expect(check(reference)).rejects.toThrow(TransientError)
  })

  it.each(['FAILED', 'CANCELED', 'FINISHEDDIRTY'])(
    'a job that is %s has failed, with its reason and without the signature of its link',
    async (state) => {
      const reference = await submit()
      fts.setState(
        reference,
        state,
        `TRANSFER  [22] could not open ${LINK}: 403\nBearer abc.def ${encodeURIComponent(LINK)} eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x`,
      )
      const found = await check(reference)
      expect(found).toMatchObject({
        kind: 'failed',
        reason: expect.stringMatching(/is \w+: TRANSFER \[22\] could not open https:\/\/s3\.example\.org/),
      })
      expect(JSON.stringify(found)).not.toMatch(/0123456789abcdef|AKIAEXAMPLE|abc\.def|eyJ/)
    },
  )

  it('a job that timed out waiting for the medium has its file at the destination, which is not copied again', async () => {
    const reference = await submit()
    endpoint.files.set(file.name, bytes)
    endpoint.onMedia = false
    fts.setState(reference, 'FAILED', 'ARCHIVING timeout')
    expect(await check(reference)).toMatchObject({ kind: 'present', onMedia: false })
  })

  it('the destination decides about a job that FTS has forgotten', async () => {
    const reference = await submit()
    fts.forget(reference)
    expect(await check(reference)).toEqual({ kind: 'absent' })
    endpoint.files.set(file.name, bytes)
    expect(await check(reference)).toMatchObject({ kind: 'present' })
  })

  it.each<FtsFault>(['drop', 'html', 'half', '503', '403', 'hang'])(
    'an answer that is of no use (%s) is no end of a job',
    async (fault) => {
      const reference = await submit()
      fts.fail(fault)
      await expect(check(reference)).rejects.toThrow(TransientError)
    },
  )

  it('a 404 of a proxy or at a wrong address does not count as a forgotten job', async () => {
    const reference = await submit()
    fts.fail('404-page')
    await expect(check(reference)).rejects.toThrow(/HTTP 404/)
    await expect(
      open({ url: `${fts.url}/elsewhere` }).check(file, { reference, readBack: 'never' }, signal),
    ).rejects.toThrow(/HTTP 404/)
  })
})

it('staged files are released at the endpoint at which they were requested', async () => {
  await driver.release(file, 'request-1', signal)
  expect(endpoint.released).toEqual([`${file.name} request-1`])
})

describe('with an FTS that copies', async () => {
  const sources = await startSourceServer()
  afterAll(() => sources.close())

  driverConformance(
    'fts',
    async () => {
      const destination = memoryEndpoint()
      const service = await startFtsServer({
        vo: 'cygno',
        async transfer({ source: link, destination: url, adler32, sizeBytes }) {
          const name = destination.nameOf(url) ?? ''
          const fetched = new Uint8Array(await (await fetch(link)).arrayBuffer())
          if (destination.files.has(name))
            throw new Error('Destination file exists and overwrite is not enabled')
          if (fetched.length !== sizeBytes) throw new Error('Source and destination file sizes do not match')
          if ((await adler32Hex(fetched)) !== adler32)
            throw new Error('User-defined and destination ADLER32 do not match')
          destination.files.set(name, fetched)
        },
      })
      const made = createFtsDriver({
        url: service.url,
        tokens: fixed('fts-token'),
        vo: 'cygno',
        archiveSeconds: 86_400,
        destination,
      })
      return {
        driver: made,
        plant: async (name, planted) => void destination.files.set(name, planted),
        bytesAt: async (name) => destination.files.get(name) ?? null,
        settle: () => service.run(),
        makeSource: (name, of, fault) => sources.source(name, of, fault),
        async close() {
          await made.close()
          await service.close()
        },
      }
    },
    { asynchronous: true, stagesTogether: true },
  )
})
