/**
 * Wraps a driver so that a test can make it fail as endpoints do, or act like a slow transfer service.
 */
import { TransientError } from '../../shared/errors.ts'
import type { CopyResult, TapeCheck, TapeDriver, TapeFile } from '../../shared/tape/driver.ts'

export type Fault =
  /** The copy fails before anything is written. */
  | 'fails'
  /** The copy is made, but the answer is lost. */
  | 'answer-lost'
  /** The copy never ends by itself. */
  | 'hangs'
  /** Copies and checks fail. */
  | 'down'

export interface FaultyTape extends TapeDriver {
  fault: Fault | null
  /** Copies are `submitted`, and `work` makes them. */
  asynchronous: boolean
  /** Whether verified copies count as on the medium. */
  onMedia: boolean
  /** What the service states of a job that has not ended. */
  progress: Omit<Extract<TapeCheck, { kind: 'in-progress' }>, 'kind'>
  /** Names of the copies that were begun, in order. */
  readonly copied: string[]
  /** Every copy waits for this before it is made. */
  before: () => Promise<void>
  /** Attempt numbers of the jobs that were submitted. */
  readonly jobs: Map<string, 'queued' | 'failed' | 'done'>
  /** The number of copies in progress now, and its maximum so far. */
  busy: number
  maxBusy: number
  /** The service ends its jobs; with `failing` they fail. */
  work(failing?: boolean): Promise<void>
}

export function faultyTape(inner: TapeDriver): FaultyTape {
  const queued = new Map<string, () => Promise<unknown>>()
  const { send: _unused, ...plain } = inner
  const tape: FaultyTape = {
    ...plain,
    fault: null,
    asynchronous: false,
    onMedia: true,
    progress: { reason: 'queued' },
    copied: [],
    before: async () => {},
    jobs: new Map(),
    busy: 0,
    maxBusy: 0,
    async copy(file, source, options, signal): Promise<CopyResult> {
      tape.copied.push(file.name)
      tape.busy++
      tape.maxBusy = Math.max(tape.maxBusy, tape.busy)
      try {
        await tape.before()
        if (tape.fault === 'fails' || tape.fault === 'down') throw new TransientError('the endpoint refuses')
        if (tape.fault === 'hangs')
          await new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
          )
        if (tape.asynchronous)
          return submit(
            file,
            () => inner.copy(file, source, options, new AbortController().signal),
            options.attempt,
          )
        const result = await inner.copy(file, source, options, signal)
        if (tape.fault === 'answer-lost') throw new TransientError('the connection was lost')
        return result.kind === 'stored' ? { ...result, onMedia: tape.onMedia } : result
      } finally {
        tape.busy--
      }
    },
    async check(file, options, signal): Promise<TapeCheck> {
      if (tape.fault === 'down') throw new TransientError('the endpoint does not answer')
      if (options.reference !== null && tape.jobs.get(options.reference) === 'queued')
        return { kind: 'in-progress', ...tape.progress }
      if (options.reference !== null && tape.jobs.get(options.reference) === 'failed')
        return { kind: 'failed', reason: 'the job failed' }
      const found = await inner.check(file, options, signal)
      return found.kind === 'present' ? { ...found, onMedia: tape.onMedia } : found
    },
    async work(failing = false) {
      for (const [job, run] of queued) {
        queued.delete(job)
        if (!failing) await run()
        tape.jobs.set(job, failing ? 'failed' : 'done')
      }
    },
  }
  function submit(file: TapeFile, run: () => Promise<unknown>, attempt: number): CopyResult {
    const reference = `${file.name}#${attempt}`
    if (!tape.jobs.has(reference)) {
      tape.jobs.set(reference, 'queued')
      queued.set(reference, run)
    }
    if (tape.fault === 'answer-lost') throw new TransientError('the connection was lost')
    return { kind: 'submitted', reference }
  }
  return tape
}
