/**
 * The catalogue's word through its API: the API looks at the copies and gives a permission that lasts for a
 * minute; the file is removed within it, and the API is told.
 */
import { hostname } from 'node:os'
import type { LocalContent } from '../../shared/copies/delete/safety.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import type { RemoteCopies, RemoteStore } from '../push/remote-store.ts'
import { isOnDisk } from './on-disk.ts'
import { type Answer, type SafetyPort, TOO_LATE } from './safety.ts'
import type { Clock } from './tracked-files.ts'

const TOO_OLD =
  'the API is of an earlier version, which cannot look at the copies for a deletion: update it, then files are removed'

/** @param isThere whether a file of this size lies under the path. */
export function createApiSafety(
  remote: Pick<RemoteStore, 'copiesOf' | 'mayRemove' | 'noteLocal' | 'endRemoval'>,
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
        ? { safe: false, why: 'these contents are not catalogued yet' }
        : judgeCopies(content, copies)
    },
    async forget(file, remove, signal) {
      const { bucket, key } = file
      const isOverAfter = stopwatch(clock)
      const answer = await remote.mayRemove({ ...file, host }, signal)
      if (answer === null) return { safe: false, why: TOO_OLD }
      if (!answer.allowed) return { safe: false, why: answer.why }
      const { id, why, validSeconds } = answer
      const end = (gone: boolean) => remote.endRemoval({ bucket, key, host, id, gone }, signal)
      const isOver = () => isOverAfter(validSeconds)
      if (isOver()) {
        await end(false)
        return { safe: false, why: TOO_LATE }
      }
      try {
        await remove({ id, why, isOver })
      } catch (error) {
        // When it cannot be said now, the log of deletions has it for later.
        await end(!isThere(file)).catch(() => {})
        throw error
      }
      await end(true)
      return { safe: true, why }
    },
    endRemoval: ({ bucket, key }, id, gone, signal) =>
      remote.endRemoval({ bucket, key, host, id, gone }, signal),
    note: (file, readAt, signal) => remote.noteLocal({ ...file, host, there: true, readAt }, signal),
    vanished: (file, signal) => remote.noteLocal({ ...file, host, there: false }, signal),
  }
}

/**
 * Neither a clock that is set nor a machine that slept, whose steady clock stood still, makes the time
 * shorter than it was.
 */
function stopwatch(clock: Clock): (seconds: number) => boolean {
  const [wallMs, steadyMs] = [clock.wallMs(), clock.steadyMs()]
  return (seconds) => Math.max(clock.wallMs() - wallMs, clock.steadyMs() - steadyMs) >= seconds * 1000
}

/** The API speaks of what the catalogue has under the key; whether that is this file is compared here. */
function judgeCopies(content: LocalContent, copies: RemoteCopies): Answer {
  if (copies.sha256 !== content.sha256 || copies.sizeBytes !== content.sizeBytes)
    return { safe: false, why: 'the catalogue has other contents under its key' }
  const inStore = copies.cloud?.state === 'present' && copies.cloud.verifiedAt !== null
  const onTape = copies.tape.some(({ state, verifiedAt }) => state === 'on-media' && verifiedAt !== null)
  if (copies.safe && !(inStore && onTape))
    throw new InvalidInputError('the API calls a file safe without naming two verified copies of it')
  return { safe: copies.safe, why: copies.why }
}
