/**
 * A tape endpoint in memory for recalls: a file is staged after a number of requests, and the test can inject
 * faults.
 */
import { createHash } from 'node:crypto'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import type { TapeDriver, TapeFile } from '../../shared/tape/driver.ts'

export interface RecallTape extends TapeDriver {
  readonly files: Map<string, Uint8Array>
  /** Checks that still return `staging`. */
  checksUntilOnline: number
  /** Whether the endpoint itself sends files. */
  sends: boolean
  /** Changes the bytes during the transfer. */
  damage: (bytes: Uint8Array) => Uint8Array
  /** Called when half of a file is read, or before it is sent. */
  meanwhile: () => Promise<void>
  /** The requests to the endpoint, in order. */
  readonly calls: string[]
  /** Whether files on disk belong to stage requests; if not, there is nothing to release. */
  pins: boolean
  /** The released files and references, in order. */
  readonly released: string[]
}

export function recallTape(): RecallTape {
  const files = new Map<string, Uint8Array>()
  let requests = 0
  const bytesOf = (file: TapeFile): Uint8Array => {
    const bytes = files.get(file.name)
    if (bytes === undefined) throw new TransientError(`${file.name} is not there`)
    return tape.damage(bytes)
  }
  const tape: RecallTape = {
    kind: 'webdav',
    endpoint: 'davs://tape.example.org:8443/cygno/',
    files,
    checksUntilOnline: 0,
    sends: false,
    damage: (bytes) => bytes,
    meanwhile: async () => {},
    calls: [],
    pins: true,
    released: [],
    url: (name) => `davs://tape.example.org:8443/cygno/${name}`,
    copy: () => Promise.reject(new Error('nothing is copied here')),
    async check(file) {
      const bytes = files.get(file.name)
      if (bytes === undefined) return { kind: 'absent' }
      const sha256 = createHash('sha256').update(tape.damage(bytes)).digest('hex')
      if (sha256 !== file.sha256)
        return { kind: 'different', evidence: 'read', reason: `it has the SHA-256 ${sha256}` }
      return { kind: 'present', verifiedBy: 'sha256 read back', evidence: 'read', onMedia: true }
    },
    async stage(file, { reference }) {
      if (!files.has(file.name)) throw new InvalidInputError(`the tape endpoint has no ${file.name}`)
      tape.calls.push(`stage ${reference ?? 'anew'}`)
      const named = reference ?? `request-${++requests}`
      if (tape.checksUntilOnline <= 0) return { kind: 'online', reference: tape.pins ? named : null }
      tape.checksUntilOnline--
      return { kind: 'staging', reference: named, reason: 'in the queue of the library' }
    },
    async release(file, reference) {
      tape.released.push(`${file.name} ${reference}`)
    },
    async *read(file, signal) {
      tape.calls.push('read')
      const bytes = bytesOf(file)
      const half = Math.floor(bytes.length / 2)
      yield bytes.subarray(0, half)
      await tape.meanwhile()
      signal.throwIfAborted()
      yield bytes.subarray(half)
    },
    async send(file, putUrl, signal) {
      if (!tape.sends) return 'unsupported'
      tape.calls.push('send')
      await tape.meanwhile()
      const answer = await fetch(putUrl, { method: 'PUT', body: Buffer.from(bytesOf(file)), signal })
      if (!answer.ok) throw new TransientError(`the store answered ${answer.status}`)
      return 'sent'
    },
    close: async () => {},
  }
  return tape
}
