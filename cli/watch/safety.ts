/** Who says whether a file of the DAQ's disk may go: the catalogue, asked in its database or through its API. */
import { lstat } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Config } from '../../shared/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { LocalContent } from '../../shared/replicas/safety.ts'
import type { ObjectName } from '../../shared/storage/objects.ts'
import type { RemoteCopies } from '../push/remote-store.ts'

/** A file on this machine's disk, its SHA-256 as it was read. */
export interface FileOnDisk extends LocalContent {
  /** Absolute. */
  readonly path: string
}

export interface Answer {
  readonly safe: boolean
  /** One sentence: what makes it safe, or what is awaited. */
  readonly why: string
}

/** All throw when the catalogue does not answer, or not in a way that can be understood. */
export interface SafetyPort {
  /** Are a copy of exactly these contents in the store and another on tape verified? */
  safetyOf(content: LocalContent, signal: AbortSignal): Promise<Answer>
  /**
   * Calls `remove` when it is safe, and says so; the judgement is made anew. Where the catalogue can be written to, a tombstone
   * is there before `remove` is called.
   * @throws also what `remove` throws.
   */
  forget(file: FileOnDisk, remove: () => void, signal: AbortSignal): Promise<Answer>
  /** Writes down that the file is here; false when the catalogue does not know its contents yet. Absent where only the API is reached. */
  note?(file: FileOnDisk, readAt: Date): Promise<boolean>
  /** Puts right what a crash or an outage left half done. */
  settle?(): Promise<void>
  close(): Promise<void>
}

/**
 * By the database. Where a tape endpoint is configured here too, the copy on tape is looked at afresh before a file goes.
 * @throws InvalidInputError for a tape endpoint that is not set up rightly. The database is not spoken to yet.
 */
export async function openDatabaseSafety(config: Config, log: Logger): Promise<SafetyPort> {
  const [{ createTapeContext }, { safetyOf }, { noteLocalCopy }, { endInterruptedForgetting, forgetLocalCopy }, { checkReplica }] =
    await Promise.all([
      import('../../shared/runtime/context.ts'),
      import('../../shared/replicas/safety.ts'),
      import('../../shared/replicas/local-copies.ts'),
      import('../../shared/replicas/forget-local-copy.ts'),
      import('../../shared/replicas/check-replica.ts'),
    ])
  const context = await createTapeContext(config, 'push', log)
  const host = hostname()
  const isThere = (path: string) =>
    lstat(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false
        throw error
      },
    )
  return {
    safetyOf: (content) => safetyOf(context, content),
    async forget(file, remove, signal) {
      const copy = { ...file, host }
      if ((await noteLocalCopy(context, copy)) === null) return { safe: false, why: 'these contents are not catalogued yet' }
      const { deleted, why } = await forgetLocalCopy(context, copy, {
        remove: async () => remove(),
        ...(context.tape === null ? {} : { checkSurvivor: (tape) => checkReplica(context, tape, 'if-needed', signal) }),
      })
      return { safe: deleted, why }
    },
    note: async (file, readAt) => (await noteLocalCopy({ ...context, now: () => readAt }, { ...file, host })) !== null,
    async settle() {
      await endInterruptedForgetting(context, host, isThere)
    },
    close: () => context.close(),
  }
}

/** `copiesOf`: asks the API. What is deleted on its word is in the log of deletions of this machine. */
export function createApiSafety(copiesOf: (object: ObjectName, signal: AbortSignal) => Promise<RemoteCopies | null>): SafetyPort {
  const safetyOf = async (content: LocalContent, signal: AbortSignal): Promise<Answer> => {
    const copies = await copiesOf(content, signal)
    return copies === null ? { safe: false, why: 'these contents are not catalogued yet' } : judgeCopies(content, copies)
  }
  return {
    safetyOf,
    async forget(file, remove, signal) {
      const answer = await safetyOf(file, signal)
      if (answer.safe) remove()
      return answer
    },
    close: async () => {},
  }
}

/** The API speaks of what the catalogue has under the key; whether that is this file is compared here. */
function judgeCopies(content: LocalContent, copies: RemoteCopies): Answer {
  if (copies.sha256 !== content.sha256 || copies.sizeBytes !== content.sizeBytes)
    return { safe: false, why: 'the catalogue has other contents under its key' }
  const inStore = copies.cloud?.state === 'present' && copies.cloud.verifiedAt !== null
  const onTape = copies.tape.some(({ state, verifiedAt }) => state === 'on-media' && verifiedAt !== null)
  if (copies.safe && !(inStore && onTape)) throw new InvalidInputError('the API calls a file safe without naming two verified copies of it')
  return { safe: copies.safe, why: copies.why }
}
