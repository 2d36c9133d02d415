/**
 * The DAQ's disk: one file per key. The DAQ overwrites it when it uses the name again; it may be removed when
 * that is safe.
 */
import type { LocalCopy } from '../../shared/copies/delete/local-copies.ts'
import type { Call } from './call.ts'
import { type GroundTruth, sha256Of } from './ground-truth.ts'
import type { Judge } from './judge.ts'

export const HOST = 'daq.example.org'

export interface Disk {
  write(key: string, bytes: Uint8Array): void
  /** The file that `cygnet push` finds there. */
  find(key: string): LocalCopy | null
  /** Whether a file of this size exists under the path. */
  isOnDisk(copy: { readonly path: string; readonly sizeBytes: number }): boolean
  /** Removes the file as `cygnet push` does. Throws if the permission is over or the file is another. */
  removeFor(call: Call, copy: LocalCopy, isOver?: () => boolean): Promise<void>
  /** The log of removals whose end was not reported, by id of the permission. It outlives every process. */
  readonly unreported: Map<number, { readonly copy: LocalCopy; readonly isDone: boolean }>
}

export function createDisk(bucket: string, groundTruth: GroundTruth, judge: Judge): Disk {
  const files = new Map<string, LocalCopy>()
  return {
    write(key, bytes) {
      const sha256 = sha256Of(bytes)
      files.set(key, { host: HOST, path: `/data/${key}`, bucket, key, sha256, sizeBytes: bytes.length })
      groundTruth.record(`local/${key}`, sha256)
    },
    find: (key) => files.get(key) ?? null,
    unreported: new Map(),
    isOnDisk: ({ path, sizeBytes }) =>
      [...files.values()].some((file) => file.path === path && file.sizeBytes === sizeBytes),
    async removeFor(call, copy, isOver = () => false) {
      const tombstones = await judge.tombstones('local', copy)
      await call.through('disk', async () => {
        if (isOver()) throw new Error('too late')
        if (files.get(copy.key)?.sha256 !== copy.sha256)
          throw new Error(`${copy.path} is another file by now`)
        files.delete(copy.key)
        groundTruth.record(`local/${copy.key}`, null)
        judge.deletion(call, 'local', copy, tombstones)
      })
    },
  }
}
