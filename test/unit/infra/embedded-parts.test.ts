import type { IncomingMessage } from 'node:http'
import { isAbsolute, normalize } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkedBody } from '../../../infra/local/services/embedded/body.ts'
import { encodeEventKey } from '../../../infra/local/services/embedded/bridge.ts'
import { compareKeys, keyToPath } from '../../../infra/local/services/embedded/keys.ts'

const key = fc.string({ unit: 'binary', minLength: 1, maxLength: 120 }).filter((text) => text.isWellFormed())

test('an event key decodes to the key in the way that AWS documents', () => {
  fc.assert(
    fc.property(key, (text) => {
      const encoded = encodeEventKey(text)
      expect(encoded).toMatch(/^[A-Za-z0-9\-._~*+%/]+$/)
      expect(decodeURIComponent(encoded.replaceAll('+', '%20'))).toBe(text)
    }),
  )
})

test('different keys have different paths, all below the folder and all with valid file names', () => {
  const awkward = fc.array(
    fc.constantFrom('.', '..', '', '%', '%more', '%empty', '%2E', 'a', 'x'.repeat(200)),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  const anyKey = fc.oneof(
    key,
    awkward.map((parts) => parts.join('/')),
  )
  fc.assert(
    fc.property(anyKey, anyKey, (a, b) => {
      const path = keyToPath(a)
      expect(isAbsolute(path) || normalize(path).startsWith('..')).toBe(false)
      for (const part of path.split('/')) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(225)
      expect(path).not.toMatch(/\p{Cc}/u)
      if (a !== b) expect(keyToPath(b)).not.toBe(path)
    }),
    { numRuns: 500 },
  )
})

test('keys are in the order of their UTF-8 bytes', () => {
  fc.assert(
    fc.property(
      key,
      key,
      (a, b) => Math.sign(compareKeys(a, b)) === Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
    ),
  )
})

/** A request with the fields that `checkedBody` reads. */
function request(chunks: readonly Buffer[], headers: Readonly<Record<string, string>>): IncomingMessage {
  return Object.assign(Readable.from(chunks), { headers }) as unknown as IncomingMessage
}

async function received(
  chunks: readonly Buffer[],
  headers: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of checkedBody(request(chunks, headers))) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

const STREAMED = { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' }

test('chunked framing is removed wherever the network cuts it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 20 }),
      async (pieces, cut) => {
        const framed = Buffer.concat([
          ...pieces.flatMap((piece) => [
            Buffer.from(`${piece.length.toString(16)};chunk-signature=abc\r\n`),
            piece,
            Buffer.from('\r\n'),
          ]),
          Buffer.from('0\r\nx-amz-meta-ignored:1\r\n\r\n'),
        ])
        const network = Array.from({ length: Math.ceil(framed.length / cut) }, (_, i) =>
          framed.subarray(i * cut, (i + 1) * cut),
        )
        expect((await received(network, STREAMED)).equals(Buffer.concat(pieces))).toBe(true)
      },
    ),
  )
})

test.each([
  ['ends in the middle of a chunk', '5\r\nhel'],
  ['ends before the last chunk', '5\r\nhello\r\n'],
  ['states a size that is not a number', 'zz\r\nhello\r\n0\r\n\r\n'],
  ['states an absurd size', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['has no line end', 'a'.repeat(100_000)],
  ['is longer than its chunk', '2\r\nhello\r\n0\r\n\r\n'],
  ['is empty', ''],
])('a framed body that %s is refused', async (_, text) => {
  await expect(received([Buffer.from(text)], STREAMED)).rejects.toMatchObject({ code: 'IncompleteBody' })
})

test('a declared trailer must be present and correct', async () => {
  const headers = { ...STREAMED, 'x-amz-trailer': 'x-amz-checksum-crc32' }
  await expect(
    received([Buffer.from('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n')], headers),
  ).resolves.toEqual(Buffer.from('hello'))
  await expect(
    received([Buffer.from('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n')], headers),
  ).rejects.toMatchObject({
    code: 'BadDigest',
  })
  await expect(received([Buffer.from('5\r\nhello\r\n0\r\n\r\n')], headers)).rejects.toMatchObject({
    code: 'MalformedTrailerError',
  })
})
