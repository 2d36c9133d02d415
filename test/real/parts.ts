/**
 * The tests on real services as parts, each in its own vitest process: a part that hangs or breaks its services does
 * not affect the others, and with little time left no further part is started.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Extra } from '../../infra/local/setup.ts'

export interface Part {
  readonly name: string
  /** The programs that its tests need on the machine. */
  readonly extras: readonly Extra[]
  /** Its test files in this folder. */
  readonly files: readonly string[]
}

/** Each takes less than four minutes on a quiet machine of two cores. */
export const PARTS: readonly Part[] = [
  {
    name: 'minio',
    extras: ['minio'],
    files: ['minio.test.ts', 'minio-signing.test.ts', 'minio-store.test.ts'],
  },
  { name: 'ceph', extras: ['ceph'], files: ['ceph.test.ts', 'ceph-store.test.ts'] },
  { name: 'xrootd', extras: ['xrootd'], files: ['xrootd.test.ts'] },
  { name: 'rucio', extras: [], files: ['rucio.test.ts'] },
  { name: 'alertmanager', extras: [], files: ['alertmanager.test.ts'] },
  { name: 'api', extras: [], files: ['api.test.ts'] },
]

export interface RunOptions {
  /** False: no further part is started. */
  readonly isTimeLeft: () => boolean
  /** Runs one part. @throws when it fails. */
  readonly run: (part: Part) => Promise<void>
  readonly print: (line: string) => void
}

/** Runs part after part, and prints the result and time of each. Returns the names of the failed parts. */
export async function runParts(
  parts: readonly Part[],
  { isTimeLeft, run, print }: RunOptions,
): Promise<readonly string[]> {
  const failed: string[] = []
  const left: string[] = []
  for (const part of parts) {
    if (!isTimeLeft()) {
      left.push(part.name)
      continue
    }
    const began = performance.now()
    const minutes = () => `${((performance.now() - began) / 60_000).toFixed(1)} min`
    try {
      await run(part)
      print(`--- real services, ${part.name}: passed in ${minutes()}`)
    } catch (error) {
      failed.push(part.name)
      const reason = error instanceof Error ? error.message : String(error)
      print(`--- real services, ${part.name}: FAILED after ${minutes()}: ${reason}`)
    }
  }
  if (left.length > 0) print(`!!! NOT RUN for lack of time, on real services: ${left.join(', ')}`)
  return failed
}

/** A program that has not ended so long after SIGTERM is killed. */
const GRACE_MS = 60_000

/**
 * Runs a program with Node until it ends. A hanging program is stopped after `boundMs`: much more than the slowest
 * machine needs.
 * @throws an Error stating how it ended, unless it was with 0 in time.
 */
export async function runNode(args: readonly string[], boundMs: number): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  let isOver = false
  const end = setTimeout(() => {
    isOver = true
    child.kill('SIGTERM')
  }, boundMs)
  const kill = setTimeout(() => child.kill('SIGKILL'), boundMs + GRACE_MS)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(end)
  clearTimeout(kill)
  if (isOver) throw new Error(`it had not ended after ${boundMs / 60_000} min`)
  if (code !== 0) throw new Error(signal === null ? `exit code ${code}` : `ended by ${signal}`)
}
