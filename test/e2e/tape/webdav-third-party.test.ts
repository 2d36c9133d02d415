/**
 * Third-party copies: every outcome is found by a check, and streaming replaces them for an endpoint that cannot
 * make them.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConflictError } from '../../../shared/errors.ts'
import { fingerprint, tapeFileOf } from '../../support/tape/files.ts'
import { memorySource } from '../../support/tape/sources.ts'
import { PLAIN_MARKERS, writeMarker } from '../../support/webdav-copy.ts'
import {
  BYTES,
  never,
  startWebdavFixture,
  transientOf,
  type WebdavFixture,
} from '../../support/webdav-fixture.ts'
import type { Met } from '../../support/webdav-server.ts'

let fixture: WebdavFixture
beforeEach(async () => {
  fixture = await startWebdavFixture()
})
afterEach(() => fixture.close())

const expectThere = (name: string, bytes: Buffer = BYTES) =>
  expect(fingerprint(fixture.server.files.get(name) ?? null)).toBe(fingerprint(bytes))

it('a third-party copy sends no byte through us', async () => {
  const file = await tapeFileOf(BYTES)
  const source = fixture.store.source(file.name, BYTES)
  const result = await fixture.driver.copy(file, source, { attempt: 1 }, never)
  expect(result).toEqual({
    kind: 'stored',
    how: 'third-party',
    bytesThroughUs: 0,
    verifiedBy: 'adler32 stated by the endpoint',
    evidence: 'stored-checksum',
    onMedia: true,
  })
  expect(source.bytesRead).toBe(0)
  expectThere(file.name)
  expect(fixture.temporaries()).toEqual([])
})

describe('a successful copy is found however its end was reported', () => {
  it.each([
    ['success: Created', {}],
    ['SUCCESS', {}],
    ['  Success: created with more words', { lineEnd: '\r\n' as const }],
    ['success: byte by byte', { pieceBytes: 1, lineEnd: '\r\n' as const }],
    [null, {}],
    ['nothing that we know', {}],
    ['failur', {}],
  ])('%s', async (lastLine, style) => {
    fixture.server.markers = { ...PLAIN_MARKERS, ...style, lastLine }
    const file = await tapeFileOf(BYTES)
    expect(await fixture.copy(BYTES, file)).toMatchObject({
      kind: 'stored',
      how: 'third-party',
      bytesThroughUs: 0,
    })
    expectThere(file.name)
  })

  it.each([200, 201, 204])('an answer %i without any text', async (status) => {
    const file = await tapeFileOf(BYTES)
    fixture.server.meet('COPY', ({ name, response }) => {
      fixture.server.files.set(name, BYTES)
      response.writeHead(status).end()
    })
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', how: 'third-party' })
  })

  it('when the connection closes while the endpoint continues, the file is waited for', async () => {
    const lengths = [10, 1000, 100_000, BYTES.length]
    const grow = async ({ name, proceed }: Met) => {
      fixture.server.files.set(name, BYTES.subarray(0, lengths.shift()))
      await proceed()
    }
    fixture.server.meet('COPY', ({ response }) => {
      response.writeHead(202)
      response.write('Perf Marker\nStripe Bytes Transferred: 10\nEnd\n', () => response.destroy())
      // Each request for the size finds more of the file.
      fixture.server.meet('HEAD', grow, lengths.length)
    })
    expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'third-party' })
    expect(lengths).toEqual([])
  })
})

describe('a failed copy is an error, leaves no file under the name, and the next one succeeds', () => {
  it.each(['failure: the disk is on fire', 'FAILED', 'aborted: by an operator'])('%s', async (lastLine) => {
    const file = await tapeFileOf(BYTES)
    fixture.server.markers = { ...PLAIN_MARKERS, lastLine, stores: (bytes) => bytes.subarray(0, 5000) }
    const error = await transientOf(fixture.copy(BYTES, file))
    expect(error.message).toContain('third-party copy')
    expect(fixture.server.files.has(file.name)).toBe(false)
    expect(fixture.temporaries()).toEqual([])
    fixture.server.markers = PLAIN_MARKERS
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', how: 'third-party' })
    expectThere(file.name)
  })

  it('a link that the endpoint repeats in its error is not shown', async () => {
    const file = await tapeFileOf(BYTES)
    fixture.server.meet('COPY', async ({ request, response }) => {
      response.writeHead(202)
      await writeMarker(
        PLAIN_MARKERS,
        response,
        10,
        `failure: cannot read ${request.headers.source} with ${request.headers.authorization}`,
      )
    })
    await transientOf(fixture.copy(BYTES, file)) // checks for secrets
  })

  it.each([
    ['after some bytes', 5000],
    ['before the first byte', 0],
  ])('the endpoint dies %s', async (_, length) => {
    const file = await tapeFileOf(BYTES)
    fixture.server.meet('COPY', ({ name, response }) => {
      fixture.server.files.set(name, BYTES.subarray(0, length))
      response.writeHead(202)
      response.write('Perf Marker\nTimestamp: 17', () => response.destroy())
    })
    await transientOf(fixture.copy(BYTES, file))
    expect(fixture.server.files.has(file.name)).toBe(false)
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', how: 'third-party' })
    expect(fixture.temporaries()).toEqual([])
  })

  it('an endpoint that does not answer fails the copy', async () => {
    const file = await tapeFileOf(BYTES)
    const hurried = await startWebdavFixture({ limits: { silenceSeconds: 0.5 } }, fixture)
    fixture.server.meet('COPY', () => {})
    expect((await transientOf(hurried.copy(BYTES, file))).message).toContain('the endpoint stopped answering')
    await hurried.driver.close()
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored' })
  })

  it('an endpoint that sends markers without progress fails the copy', async () => {
    const file = await tapeFileOf(BYTES)
    fixture.server.meet('COPY', async ({ response }) => {
      response.writeHead(202)
      while (!response.destroyed) {
        response.write('Perf Marker\nStripe Bytes Transferred: 0\nEnd\n')
        fixture.clock.ms += 20_000
        await nextTurn()
      }
    })
    expect((await transientOf(fixture.copy(BYTES, file))).message).toMatch(
      /no byte was transferred for \d+ s/,
    )
  })

  it('an endpoint that sends an endless line fails the copy', async () => {
    const drip = await startWebdavFixture({ copySeconds: 1 })
    drip.server.meet('COPY', async ({ response }) => {
      response.writeHead(202)
      while (!response.destroyed) {
        response.write(Buffer.alloc(65_536, 'success'))
        await nextTurn()
      }
    })
    expect((await transientOf(drip.copy())).message).toContain('longer than 1 s')
    await drip.close()
  })

  it('a copy that its caller aborts fails', async () => {
    const patience = new AbortController()
    fixture.server.meet('COPY', () => patience.abort(new Error('the function ends')))
    await expect(fixture.copy(BYTES, undefined, patience.signal)).rejects.toThrow('the function ends')
  })

  it.each([500, 502, 503, 504, 507])('it answers %i', async (status) => {
    fixture.server.meet(
      'COPY',
      ({ response }) => void response.writeHead(status).end('<html><b>Sorry</b></html>'),
    )
    expect((await transientOf(fixture.copy())).message).toMatch(new RegExp(`answered ${status} .*Sorry$`))
    expect(fixture.count('PUT')).toBe(0)
  })
})

describe('streaming takes over', () => {
  it('streaming replaces a third-party copy that reported success with other bytes, and the source shows which side is wrong', async () => {
    const file = await tapeFileOf(BYTES)
    fixture.server.markers = { ...PLAIN_MARKERS, stores: (bytes) => Buffer.from(bytes).fill(0, 0, 100) }
    expect(await fixture.copy(BYTES, file)).toMatchObject({
      kind: 'stored',
      how: 'streamed',
      bytesThroughUs: BYTES.length,
    })
    expectThere(file.name)
  })

  it('streaming replaces a third-party copy that reported success without a file', async () => {
    fixture.server.meet('COPY', ({ response }) => void response.writeHead(201).end('success: Created'))
    expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'streamed' })
  })

  it.each([400, 403, 405, 501])(
    'streaming is used when the endpoint answers %i to COPY, which is then not sent again for some minutes',
    async (status) => {
      fixture.server.meet('COPY', ({ response }) => void response.writeHead(status).end(), 2)
      expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'streamed' })
      expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'streamed' })
      expect(fixture.count('COPY')).toBe(1)
      fixture.clock.ms += 601_000
      expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'streamed' })
      expect(fixture.count('COPY')).toBe(2)
      fixture.clock.ms += 601_000
      expect(await fixture.copy()).toMatchObject({ kind: 'stored', how: 'third-party' })
    },
  )

  it('streaming replaces a third-party copy when the endpoint cannot reach the store', async () => {
    const file = await tapeFileOf(BYTES)
    const source = memorySource(
      file.name,
      BYTES,
      {},
      async () => 'http://127.0.0.1:1/nobody?X-Amz-Signature=secret',
    )
    const result = await fixture.driver.copy(file, source, { attempt: 1 }, never)
    expect(result).toMatchObject({ kind: 'stored', how: 'streamed' })
  })

  it('streaming creates a folder that was removed meanwhile', async () => {
    const file = await tapeFileOf(BYTES)
    fixture.server.meet('COPY', ({ response }) => void response.writeHead(409).end('the parent is missing'))
    expect(await fixture.copy(BYTES, file)).toMatchObject({ kind: 'stored', how: 'streamed' })
  })
})

it('another copy of the same file in progress is not touched', async () => {
  const other = randomBytes(100)
  fixture.server.meet('COPY', ({ name, response }) => {
    fixture.server.files.set(name, other)
    response.writeHead(412).end()
  })
  await expect(fixture.copy()).rejects.toThrow(ConflictError)
  expect(fixture.temporaries()).toHaveLength(1)
})
