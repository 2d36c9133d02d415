/**
 * The DAQ's disk: one file for each key, which the DAQ writes over when it uses the name again, and which may
 * go when it is safe.
 */
import type { LocalCopy } from '../../shared/copies/delete/local-copies.ts'
import type { Call } from './call.ts'
import type { Judge } from './judge.ts'
import { sha256Of, type Truth } from './truth.ts'

export const HOST = 'daq.example.org'

export interface Disk {
  write(key: string, bytes: Uint8Array): void
  /** What `cygnet push` finds there. */
  find(key: string): LocalCopy | null
  /** A file of this size under the path. */
  isOnDisk(copy: { readonly path: string; readonly sizeBytes: number }): boolean
  /** As `cygnet push` does it: only the file that was judged, and in time. Throws while it is still there. */
  removeFor(call: Call, copy: LocalCopy, isOver?: () => boolean): Promise<void>
  /** What is in the log of deletions by permissions whose end was not told: it outlives every process. */
  readonly untold: Map<number, { readonly copy: LocalCopy; readonly isDone: boolean }>
}

export function createDisk(bucket: string, truth: Truth, judge: Judge): Disk {
  const files = new Map<string, LocalCopy>()
  return {
    write(key, bytes) {
      const sha256 = sha256Of(bytes)
      files.set(key, { host: HOST, path: `/data/${key}`, bucket, key, sha256, sizeBytes: bytes.length })
      truth.note(`local/${key}`, sha256)
    },
    find: (key) => files.get(key) ?? null,
    untold: new Map(),
    isOnDisk: ({ path, sizeBytes }) =>
      [...files.values()].some((file) => file.path === path && file.sizeBytes === sizeBytes),
    async removeFor(call, copy, isOver = () => false) {
      const tombstones = await judge.tombstones('local', copy)
      await call.through('disk', async () => {
        if (isOver()) throw new Error('too late')
        if (files.get(copy.key)?.sha256 !== copy.sha256)
          throw new Error(`${copy.path} is another file by now`)
        files.delete(copy.key)
        truth.note(`local/${copy.key}`, null)
        judge.deletion(call, 'local', copy, tombstones)
      })
    },
  }
}
