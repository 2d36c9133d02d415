/** Writes the bytes of an object to a new file, with their size and MD5. */
import { createHash } from 'node:crypto'
import { createWriteStream, rmSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface WrittenContent {
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly md5: string
}

/**
 * Contents up to this size are written in one call: most objects are small, and a stream costs ten times the work.
 */
const SMALL_BYTES = 256 * 1024

/**
 * Writes the content to a file that must not exist. When reading the content fails (the client disconnected, a
 * checksum was wrong), the file is removed and the error is thrown.
 */
export async function writeContent(
  path: string,
  content: AsyncIterable<Buffer> | Buffer,
): Promise<WrittenContent> {
  const md5 = createHash('md5')
  let sizeBytes = 0
  const measured = async function* () {
    for await (const chunk of Buffer.isBuffer(content) ? [content] : content) {
      md5.update(chunk)
      sizeBytes += chunk.length
      yield chunk
    }
  }
  const chunks = measured()
  try {
    const first: Buffer[] = []
    let ended = false
    while (!ended && sizeBytes <= SMALL_BYTES) {
      const { done, value } = await chunks.next()
      if (done === true) ended = true
      else first.push(value)
    }
    if (ended) writeFileSync(path, Buffer.concat(first), { flag: 'wx' })
    else {
      const file = createWriteStream(path, { flags: 'wx' })
      await pipeline(Readable.from(joined(first, chunks), { objectMode: false }), file).catch(
        async (error) => {
          // A stream that is still being opened would make the file again.
          if (!file.closed) await new Promise<void>((resolve) => file.once('close', resolve))
          throw error
        },
      )
    }
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
  return { sizeBytes, md5: md5.digest('hex') }
}

async function* joined(first: readonly Buffer[], rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* first
  yield* rest
}
