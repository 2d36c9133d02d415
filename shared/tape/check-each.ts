/** Checks many files before one request names them, so that one that cannot be checked does not end it. */
import type { TapeFile } from './driver.ts'

const AT_ONCE = 8

/**
 * @param check returns null for a file that must be left out.
 * @param seconds no check is started after this time, except the first ones.
 * @returns by file, in their order; null: left out, also when its check failed. Files that were not checked in
 * time have no entry.
 * @throws the error of the first file when all checks failed.
 */
export async function checkEach<Found>(
  files: readonly TapeFile[],
  check: (file: TapeFile) => Promise<Found | null>,
  seconds: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<TapeFile, Found | null>> {
  const began = performance.now()
  const found = new Map<TapeFile, Found | null>()
  const errors: unknown[] = []
  for (let at = 0; at < files.length; at += AT_ONCE) {
    if (at > 0 && performance.now() - began >= seconds * 1000) break
    const some = files.slice(at, at + AT_ONCE)
    const checks = await Promise.allSettled(some.map(check))
    signal.throwIfAborted()
    for (const [index, file] of some.entries()) {
      const checked = checks[index]
      if (checked?.status === 'rejected') errors.push(checked.reason)
      found.set(file, checked?.status === 'fulfilled' ? checked.value : null)
    }
  }
  if (errors.length > 0 && errors.length === found.size) throw errors[0]
  return found
}
