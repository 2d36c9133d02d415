/**
 * A driver around another that can be made to fail in the ways endpoints fail, and to work like a service
 * that takes its time.
 */
import { TransientError } from '../../shared/errors.ts'
import type { CopyResult, TapeCheck, TapeDriver, TapeFile } from '../../shared/tape/driver.ts'

export type Fault =
  /** The copy fails before anything happened. */
  | 'fails'
  /** The copy is made, but the answer is lost. */
  | 'answer-lost'
  /** The copy never ends by itself. */
  | 'hangs'
  /** Neither copies nor checks are answered. */
  | 'down'

export interface FaultyTape extends TapeDriver {
  fault: Fault | null
  /** Copies are `submitted`, and made by `work`. */
  asynchronous: boolean
  /** What is verified counts as on the medium. */
  onMedia: boolean
  /** Names of the copies that were begun, in order. */
  readonly copied: string[]
  /** Every copy waits for this before it is made. */
  before: () => Promise<void>
  /** Attempt numbers of the jobs that were submitted. */
  readonly jobs: Map<string, 'queued' | 'failed' | 'done'>
  /** Copies under way at this moment, and the most there were at once. */
  busy: number
  mostBusy: number
  /** A service does its jobs; `failing` lets them end in vain. */
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
    copied: [],
    before: async () => {},
    jobs: new Map(),
    busy: 0,
    mostBusy: 0,
    async copy(file, source, options, signal): Promise<CopyResult> {
      tape.copied.push(file.name)
      tape.busy++
      tape.mostBusy = Math.max(tape.mostBusy, tape.busy)
      try {
        await tape.before()
        if (tape.fault === 'fails' || tape.fault === 'down') throw new TransientError('the endpoint says no')
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
        return { kind: 'in-progress', reason: 'queued' }
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
