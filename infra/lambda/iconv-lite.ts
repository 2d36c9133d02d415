/**
 * Replaces iconv-lite in the bundles (serverless.yml, custom.esbuild.alias), whose tables of 0.5 MB every cold start
 * would read. mysql2 uses it only for encodings that Buffer does not have. Our sessions are utf8mb4, so in practice
 * this is only the name of the server's version; Node's TextDecoder has most other encodings.
 */

/** MariaDB's older `utf8`, without characters beyond the first 65,536; texts in it are valid UTF-8. */
const CESU8 = 'cesu8'

interface Decoder {
  write(bytes: Uint8Array): string
  end(): string
}

/** @throws RangeError for an encoding that Node does not have. */
export function getDecoder(encoding: string): Decoder {
  const decoder = new TextDecoder(encoding === CESU8 ? 'utf-8' : encoding)
  return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() }
}

interface Encoder {
  write(text: string): Buffer
  end(): undefined
}

/** @throws RangeError for encodings other than UTF-8, which are never sent to the server. */
export function getEncoder(encoding: string): Encoder {
  if (encoding !== CESU8) throw new RangeError(`texts are sent as UTF-8, not as ${encoding}`)
  return { write: (text) => Buffer.from(text, 'utf8'), end: () => undefined }
}
