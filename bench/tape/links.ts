/**
 * The two ends of a copy, each behind its own link of limited rate, as the store and the tape endpoint in
 * production.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../../infra/local/environment.ts'
import type { Listening, Passed } from './limited-link.ts'

/** Addresses of the servers at the two ends. */
export interface Ends {
  readonly storeUrl: string
  readonly tapeUrl: string
}

export interface Links {
  readonly ends: Ends
  readonly pids: readonly number[]
  /**
   * The result of the work, once it is verified that this many bytes came from the store over its link and
   * went to the tape over the other.
   * @throws when they took another way: then something else was measured.
   */
  carry<T>(sizeBytes: number, work: () => Promise<T>): Promise<T>
  close(): Promise<void>
}

interface Link {
  readonly url: string
  readonly pid: number
  passed(): Promise<Passed>
  close(): Promise<void>
}

/** @throws when a link cannot be opened. */
export async function openLinks(ends: Ends, bytesPerSecond: number): Promise<Links> {
  const store = await openLink(ends.storeUrl, bytesPerSecond)
  const tape = await openLink(ends.tapeUrl, bytesPerSecond)
  const carried = async () => ({
    out: (await store.passed()).toClientBytes,
    in: (await tape.passed()).toServerBytes,
  })
  return {
    ends: { storeUrl: store.url, tapeUrl: tape.url },
    pids: [store.pid, tape.pid],
    async carry(sizeBytes, work) {
      const before = await carried()
      const done = await work()
      const after = await carried()
      const [fromStore, toTape] = [after.out - before.out, after.in - before.in]
      if (Math.min(fromStore, toTape) < sizeBytes)
        throw new Error(
          `a copy of ${sizeBytes} bytes went past the links: ${fromStore} came from the store, ${toTape} went to the tape`,
        )
      return done
    },
    close: async () => void (await Promise.all([store.close(), tape.close()])),
  }
}

const PROGRAM = fileURLToPath(new URL('./limited-link.ts', import.meta.url))

async function openLink(url: string, bytesPerSecond: number): Promise<Link> {
  const child = fork(PROGRAM, [new URL(url).port, String(bytesPerSecond)], { env: childEnvironment() })
  const ended = new AbortController()
  child.once('exit', () => ended.abort(new Error(`the link in front of ${url} ended`)))
  const received = async <T>() => ((await once(child, 'message', { signal: ended.signal })) as [T])[0]
  const { port, pid } = await received<Listening>()
  return {
    pid,
    url: url.replace(/:\d+/, `:${port}`),
    async passed() {
      ended.signal.throwIfAborted()
      child.send('passed')
      return await received<Passed>()
    },
    async close() {
      child.disconnect()
      if (!ended.signal.aborted) await once(child, 'exit')
    },
  }
}
