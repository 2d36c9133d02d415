/**
 * Reads back a copy that is on tape only, by the order of a person: it is staged, compared and released. Nothing
 * else in a verification stages.
 */
import type { Context } from '../../context.ts'
import type { Replica } from '../../database/replica-schema.ts'
import { classify, TransientError } from '../../errors.ts'
import type { TapeDriver } from '../../tape/driver.ts'
import { pause } from '../../time/pause.ts'
import { tapeFileOf } from './check-replica.ts'

/** A tape system brings a file to disk within hours. */
const STAGE_SECONDS = 86_400
const POLL_MS = 30_000
const RELEASE_MS = 10_000
/** An hour without an answer, at the usual pause: then the endpoint is down, and the order ends. */
const MOST_FAILED_POLLS = 120

/**
 * Keeps the file on the endpoint's disk while `work` runs. Waits as long as the endpoint takes, also while it does
 * not answer for some time; the signal ends the wait. @throws as TapeDriver.stage; TransientError when the file was
 * not staged.
 */
export async function whileStaged<T>(
  { tape, log }: Context<'tape'> & { readonly tape: TapeDriver },
  replica: Replica,
  options: { readonly pollMs?: number },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const file = tapeFileOf(replica)
  let reference: string | null = null
  let failedPolls = 0
  const poll = async () => {
    const staged = await tape.stage(file, { reference, lifetimeSeconds: STAGE_SECONDS }, signal)
    failedPolls = 0
    return staged
  }
  try {
    for (;;) {
      const staged = await poll().catch((error: unknown) => {
        signal.throwIfAborted()
        failedPolls += 1
        const isPassing = reference !== null && classify(error) instanceof TransientError
        if (!isPassing || failedPolls > MOST_FAILED_POLLS) throw error
        log.warn({ error, url: replica.url, failedPolls }, 'staging-unknown')
        return { kind: 'unknown' } as const
      })
      if (staged.kind !== 'unknown') reference = staged.reference
      if (staged.kind === 'online') return await work()
      if (staged.kind === 'failed') throw new TransientError(`it was not staged: ${staged.reason}`)
      await pause(options.pollMs ?? POLL_MS, signal)
      signal.throwIfAborted()
    }
  } finally {
    if (reference !== null)
      await tape
        .release(file, reference, AbortSignal.timeout(RELEASE_MS))
        .catch((error: unknown) => log.warn({ error, url: replica.url }, 'staged-copy-not-released'))
  }
}
