/**
 * The tape endpoint of a story: the directory driver as a library that may work like a service (jobs that
 * take their time, end in vain or leave wrong bytes), hold files on a disk buffer first, send files by
 * itself, or be down.
 */
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { createDirectoryDriver } from '../../shared/tape/directory/directory.ts'
import type {
  CheckOptions,
  CopyResult,
  CopySource,
  StageResult,
  TapeCheck,
  TapeDriver,
  TapeFile,
} from '../../shared/tape/driver.ts'
import { type Call, Died } from './call.ts'
import type { Clock } from './clock.ts'
import type { TapeFolder } from './tape-folder.ts'
import type { Truth } from './truth.ts'
import type { Violations } from './violations.ts'

export interface Modes {
  /** Copies and stage requests are jobs that `work` does. */
  readonly asynchronous: boolean
  /** New files are on a disk buffer until `migrate`. */
  readonly buffered: boolean
  readonly sends: boolean
  readonly down: boolean
}

export const PLAIN: Modes = { asynchronous: false, buffered: false, sends: false, down: false }

export interface LibraryOptions {
  readonly path: string
  readonly folder: TapeFolder
  readonly truth: Truth
  readonly violations: Violations
  readonly clock: Clock
  /** What the store holds under a key, past all accidents. */
  readonly read: (key: string) => Promise<Uint8Array | null>
  /** Puts bytes into the store without any condition, as whoever has a link does. */
  readonly put: (key: string, bytes: Uint8Array) => Promise<void>
}

export interface Library {
  modes: Modes
  driverFor(call: Call): TapeDriver
  /** A service does its jobs. */
  work(ends: 'well' | 'in vain' | 'with wrong bytes'): Promise<void>
  /** What is on the disk buffer goes to the medium. */
  migrate(): void
}

interface Job {
  state: 'queued' | 'failed' | 'done'
  readonly file: TapeFile
  readonly key: string
}

export function createLibrary(options: LibraryOptions): Library {
  const { folder, truth, read } = options
  const inner = createDirectoryDriver({ folder: options.path, now: options.clock.nowMs })
  const jobs = new Map<string, Job>()
  const staging = new Map<string, 'queued' | 'online'>()

  /** Reads by a link: what is under the key when the service comes to it, whatever was asked for. */
  async function copyByLink({ file, key }: Job): Promise<'done' | 'failed'> {
    const bytes = await read(key)
    if (bytes === null) return 'failed'
    const result = await inner
      .copy(file, sourceOf(key, bytes), { attempt: 1 }, new AbortController().signal)
      .catch(() => null)
    folder.noteNew(file.name, !library.modes.buffered)
    return result?.kind === 'stored' ? 'done' : 'failed'
  }

  function plant({ file }: Job): 'done' | 'failed' {
    if (folder.has(file.name)) return 'failed'
    folder.plant(file.name)
    return 'done'
  }

  const library: Library = {
    modes: PLAIN,
    driverFor: (call) => driverOf({ ...options, library, inner, jobs, staging, call }),
    async work(ends) {
      for (const job of jobs.values())
        if (job.state === 'queued')
          job.state = ends === 'in vain' ? 'failed' : ends === 'well' ? await copyByLink(job) : plant(job)
      for (const reference of staging.keys()) staging.set(reference, 'online')
    },
    migrate() {
      for (const name of truth.locations('tape')) truth.note(`media/${name}`, truth.now(`tape/${name}`))
    },
  }
  return library
}

const sourceOf = (key: string, bytes: Uint8Array): CopySource => ({
  object: { bucket: '', key },
  async *open() {
    yield bytes
  },
  presign: () => Promise.reject(new Error('nobody asks for a link here')),
})

interface Shelf extends LibraryOptions {
  readonly library: Library
  readonly inner: TapeDriver
  readonly jobs: Map<string, Job>
  readonly staging: Map<string, 'queued' | 'online'>
  readonly call: Call
}

function driverOf(shelf: Shelf): TapeDriver {
  const { library, inner, folder, staging, clock, call } = shelf
  const ask = <T>(work: () => Promise<T>): Promise<T> =>
    call.through('tape', () =>
      library.modes.down ? Promise.reject(new TransientError('the tape endpoint is down')) : work(),
    )
  return {
    ...inner,
    copy: (file, source, { attempt }, signal) =>
      ask(() => copy(shelf, file, source, attempt, signal)).catch((error: unknown) => {
        if (error instanceof Died) folder.leavePart(file)
        throw error
      }),
    async check(file, options, signal) {
      const seen = await ask(() => checkShelf(shelf, file, options, signal))
      // What a call has verified, from when it knows it.
      if (seen.kind === 'present')
        call.looks.push({ name: file.name, sha256: file.sha256, onMedia: seen.onMedia, atMs: clock.nowMs() })
      return seen
    },
    stage: (file, { reference }) => ask(async () => stage(shelf, file, reference)),
    release: (_file, reference) => ask(async () => void staging.delete(reference)),
    async *read(file, signal) {
      await ask(async () => {})
      yield* inner.read(file, signal)
    },
    send: (file, putUrl, signal) => ask(() => send(shelf, file, putUrl, signal)),
  }
}

async function copy(
  { library, inner, folder, jobs }: Shelf,
  file: TapeFile,
  source: CopySource,
  attempt: number,
  signal: AbortSignal,
): Promise<CopyResult> {
  if (library.modes.asynchronous) {
    const reference = `${file.name}#${attempt}`
    if (!jobs.has(reference)) jobs.set(reference, { state: 'queued', file, key: source.object.key })
    return { kind: 'submitted', reference }
  }
  const onMedia = !library.modes.buffered
  try {
    const result = await inner.copy(file, source, { attempt }, signal)
    return result.kind === 'stored' ? { ...result, onMedia } : result
  } finally {
    folder.noteNew(file.name, onMedia)
  }
}

/** What the driver says of a file that is there is held against what is there. */
async function checkShelf(
  { inner, jobs, truth, violations, call }: Shelf,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  const from = truth.seq()
  const job = jobs.get(options.reference ?? '')
  if (job?.state === 'queued') return { kind: 'in-progress', reason: 'queued' }
  const seen = await inner.check(file, options, signal)
  if (seen.kind === 'absent' && job?.state === 'failed') return { kind: 'failed', reason: 'the job failed' }
  if (seen.kind !== 'present') return seen
  if (!truth.heldBetween(`tape/${file.name}`, file.sha256, from, truth.seq()))
    violations.add(`${call.name}: the driver says that ${file.name} is present, and it is not`)
  return { ...seen, onMedia: truth.heldBetween(`media/${file.name}`, file.sha256, from, truth.seq()) }
}

function stage({ library, folder, staging }: Shelf, file: TapeFile, known: string | null): StageResult {
  if (!folder.has(file.name)) throw new InvalidInputError(`${file.name} is not there`)
  const reference = known ?? `stage ${file.name} ${staging.size}`
  if (!library.modes.asynchronous || staging.get(reference) === 'online') return { kind: 'online', reference }
  staging.set(reference, 'queued')
  return { kind: 'staging', reference, reason: 'in the queue of the library' }
}

async function send(
  { library, inner, put }: Shelf,
  file: TapeFile,
  putUrl: string,
  signal: AbortSignal,
): Promise<'sent' | 'unsupported'> {
  if (!library.modes.sends) return 'unsupported'
  const chunks: Uint8Array[] = []
  for await (const chunk of inner.read(file, signal)) chunks.push(chunk)
  const [, ...key] = new URL(putUrl).pathname.slice(1).split('/').map(decodeURIComponent)
  await put(key.join('/'), Buffer.concat(chunks))
  return 'sent'
}
