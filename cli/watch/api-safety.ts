/**
 * Deletions with a permission of the catalogue's API: the API verifies the copies and gives a permission for a
 * minute. The file is removed within that time, and the outcome is reported to the API.
 */
import { hostname } from 'node:os'
import type { LocalContent } from '../../shared/copies/delete/safety.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import type { RemoteCopies, RemoteStore } from '../push/remote-store.ts'
import { isOnDisk } from './on-disk.ts'
import { type SafetyAnswer, type SafetyPort, TOO_LATE } from './safety.ts'
import type { Clock } from './tracked-files.ts'

const TOO_OLD =
  'this version of the API cannot verify the copies for a deletion: files are removed after an update of the API'

/** @param isThere whether the path has a file of this size. */
export function createApiSafety(
  remote: Pick<RemoteStore, 'copiesOf' | 'requestRemoval' | 'reportLocal' | 'endRemoval'>,
  clock: Clock,
  { host, isThere }: { readonly host: string; readonly isThere: typeof isOnDisk } = {
    host: hostname(),
    isThere: isOnDisk,
  },
): SafetyPort {
  return {
    async safetyOf(content, signal) {
      const copies = await remote.copiesOf(content, signal)
      return copies === null
        ? { safe: false, reason: 'these contents are not catalogued yet' }
        : judgeCopies(content, copies)
    },
    async removeWhenSafe(file, remove, signal) {
      const { bucket, key } = file
      const isOverAfter = stopwatch(clock)
      const answer = await remote.requestRemoval({ ...file, host }, signal)
      if (answer === null) return { safe: false, reason: TOO_OLD }
      if (!answer.allowed) return { safe: false, reason: answer.why }
      const { id, why, validSeconds } = answer
      const end = (gone: boolean) => remote.endRemoval({ bucket, key, host, id, gone }, signal)
      const isOver = () => isOverAfter(validSeconds)
      if (isOver()) {
        await end(false)
        return { safe: false, reason: TOO_LATE }
      }
      try {
        await remove({ id, reason: why, isOver })
      } catch (error) {
        // If the report fails, it is repeated later from the log of deletions.
        await end(!isThere(file)).catch(() => {})
        throw error
      }
      await end(true)
      return { safe: true, reason: why }
    },
    endRemoval: ({ bucket, key }, id, gone, signal) =>
      remote.endRemoval({ bucket, key, host, id, gone }, signal),
    reportPresent: (file, readAt, signal) =>
      remote.reportLocal({ ...file, host, there: true, readAt }, signal),
    reportVanished: (file, signal) => remote.reportLocal({ ...file, host, there: false }, signal),
  }
}

/**
 * Measures elapsed time. It is never too short when the wall clock is set, nor after the machine was suspended
 * and its steady clock stood still.
 */
function stopwatch(clock: Clock): (seconds: number) => boolean {
  const [wallMs, steadyMs] = [clock.wallMs(), clock.steadyMs()]
  return (seconds) => Math.max(clock.wallMs() - wallMs, clock.steadyMs() - steadyMs) >= seconds * 1000
}

/** The API's answer is about the catalogued contents of the key; they are compared with this file here. */
function judgeCopies(content: LocalContent, copies: RemoteCopies): SafetyAnswer {
  if (copies.sha256 !== content.sha256 || copies.sizeBytes !== content.sizeBytes)
    return { safe: false, reason: 'the catalogue has other contents under its key' }
  const inStore = copies.cloud?.state === 'present' && copies.cloud.verifiedAt !== null
  const onTape = copies.tape.some(({ state, verifiedAt }) => state === 'on-media' && verifiedAt !== null)
  if (copies.safe && !(inStore && onTape))
    throw new InvalidInputError('the API calls a file safe without naming two verified copies of it')
  return { safe: copies.safe, reason: copies.why }
}
