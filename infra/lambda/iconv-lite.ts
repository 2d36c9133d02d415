/**
 * Stands in for iconv-lite in the bundles (serverless.yml, custom.esbuild.alias): its tables are 0.5 MB that
 * every cold start would read. mysql2 asks it only for encodings that Buffer does not know, and our sessions
 * are utf8mb4, so in practice for the name of the server's version; Node's own TextDecoder knows most others
 * as well.
 */

/** MariaDB's older `utf8` without characters beyond the first 65,536; what it can say is UTF-8. */
const CESU8 = 'cesu8'

interface Decoder {
  write(bytes: Uint8Array): string
  end(): string
}

/** @throws RangeError for an encoding that Node does not know. */
export function getDecoder(encoding: string): Decoder {
  const decoder = new TextDecoder(encoding === CESU8 ? 'utf-8' : encoding)
  return { write: (bytes) => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() }
}

interface Encoder {
  write(text: string): Buffer
  end(): undefined
}

/** @throws RangeError for anything but UTF-8: we never speak another to the server. */
export function getEncoder(encoding: string): Encoder {
  if (encoding !== CESU8) throw new RangeError(`texts are sent as UTF-8, never as ${encoding}`)
  return { write: (text) => Buffer.from(text, 'utf8'), end: () => undefined }
}
