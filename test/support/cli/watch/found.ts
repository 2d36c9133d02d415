/** Run files as a scan finds them, without a disk. */
import type { Observed } from '../../../../cli/watch/closed.ts'
import type { RunFileFound } from '../../../../cli/watch/scan.ts'
import { parseRunKey } from '../../../../shared/run.ts'

export const HOUR_S = 3600

/** `begun` and `written`: seconds since 1970. */
export function foundFile(
  name: string,
  { begun = 0, written = 1000, sizeBytes = 1000, ino = 1n } = {},
): RunFileFound {
  const run = parseRunKey(`LNGS/${name}`)
  if (run === null) throw new Error(`${name} is no run's name`)
  const [mtimeNs, begunNs] = [BigInt(written) * 1_000_000_000n, BigInt(begun) * 1_000_000_000n]
  return {
    name,
    path: `/data/${name}`,
    key: `LNGS/${name}`,
    run,
    dev: 1n,
    ino,
    sizeBytes,
    mtimeNs,
    folder: '2:5',
    begunNs,
  }
}

/** By default observed for a minute without a change, and written two minutes ago. */
export const observed = (file: RunFileFound, known: Partial<Observed> = {}): Observed => ({
  file,
  unchangedMs: 60_000,
  ageMs: 120_000,
  writer: null,
  isInStore: false,
  ...known,
})
