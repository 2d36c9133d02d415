/** The catalogue's word where its database, the store and the tape endpoint are reached from this machine. */
import { hostname } from 'node:os'
import type { S3Client } from '@aws-sdk/client-s3'
import type { Config } from '../../shared/config/config.ts'
import type { Logger } from '../../shared/log.ts'
import type { SafetyPort } from './safety.ts'

/**
 * @param s3 the store as this machine reaches it.
 * @throws InvalidInputError for a tape endpoint that is not set up rightly. The database is not spoken to
 * yet.
 */
export async function openDatabaseSafety(config: Config, s3: S3Client, log: Logger): Promise<SafetyPort> {
  const [
    { createTapeContext },
    { safetyOf },
    { noteLocalCopy, noteVanishedCopy },
    { endInterruptedForgetting, forgetLocalCopy },
  ] = await Promise.all([
    import('../../shared/runtime/open-context.ts'),
    import('../../shared/copies/delete/safety.ts'),
    import('../../shared/copies/delete/local-copies.ts'),
    import('../../shared/copies/delete/forget-local-copy.ts'),
  ])
  const opened = await createTapeContext(config, 'push', log)
  const context = { ...opened, s3 }
  const host = hostname()
  return {
    safetyOf: (content) => safetyOf(context, content),
    async forget(file, remove, signal) {
      const copy = { ...file, host }
      if ((await noteLocalCopy(context, copy)) === null)
        return { safe: false, why: 'these contents are not catalogued yet' }
      const { deleted, why } = await forgetLocalCopy(context, copy, async () => await remove(null), signal)
      return { safe: deleted, why }
    },
    note: async (file, readAt) =>
      (await noteLocalCopy({ ...context, now: () => readAt }, { ...file, host })) !== null,
    vanished: (file) => noteVanishedCopy(context, { ...file, host }),
    async settle(isThere) {
      await endInterruptedForgetting(context, host, isThere)
    },
    close: () => opened.close(),
  }
}
