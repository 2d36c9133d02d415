/**
 * The tape endpoint of a story: the directory driver as a library that can act like a transfer service (with
 * jobs that are slow, fail or write wrong bytes), hold files on a disk buffer first, send files itself, or be
 * down.
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
import type { GroundTruth } from './ground-truth.ts'
import type { TapeFolder } from './tape-folder.ts'
import type { Violations } from './violations.ts'

export interface Modes {
  /** Copies and stage requests are jobs, which `finishJobs` ends. */
  readonly asynchronous: boolean
  /** New files are on a disk buffer until `migrate`. */
  readonly buffered: boolean
  /** The endpoint can send files itself. */
  readonly sends: boolean
  readonly down: boolean
}

export const PLAIN: Modes = { asynchronous: false, buffered: false, sends: false, down: false }

export interface LibraryOptions {
  readonly path: string
  readonly folder: TapeFolder
  readonly groundTruth: GroundTruth
  readonly violations: Violations
  readonly clock: Clock
  /** Reads an object of the store without accidents. */
  readonly read: (key: string) => Promise<Uint8Array | null>
  /** Puts bytes into the store unconditionally, as the holder of a link can. */
  readonly put: (key: string, bytes: Uint8Array) => Promise<void>
}

export interface Library {
  modes: Modes
  driverFor(call: Call): TapeDriver
  /** The service ends its jobs. */
  finishJobs(result: 'done' | 'failed' | 'wrong bytes'): Promise<void>
  /** Moves files from the disk buffer to the medium. */
  migrate(): void
}

interface Job {
  state: 'queued' | 'failed' | 'done'
  readonly file: TapeFile
  readonly key: string
}

export function createLibrary(options: LibraryOptions): Library {
  const { folder, groundTruth, read } = options
  const inner = createDirectoryDriver({ folder: options.path, now: options.clock.nowMs })
  const jobs = new Map<string, Job>()
  const staging = new Map<string, 'queued' | 'online'>()

  /**
   * Copies by a link: the service reads what is under the key when it begins the job, whatever was requested.
   */
  async function copyByLink({ file, key }: Job): Promise<'done' | 'failed'> {
    const bytes = await read(key)
    if (bytes === null) return 'failed'
    const result = await inner
      .copy(file, sourceOf(key, bytes), { attempt: 1 }, new AbortController().signal)
      .catch(() => null)
    folder.recordNew(file.name, !library.modes.buffered)
    return result?.kind === 'stored' ? 'done' : 'failed'
  }

  function writeWrongBytes({ file }: Job): 'done' | 'failed' {
    if (folder.has(file.name)) return 'failed'
    folder.putForeignFile(file.name)
    return 'done'
  }

  const library: Library = {
    modes: PLAIN,
    driverFor: (call) => driverOf({ ...options, library, inner, jobs, staging, call }),
    async finishJobs(result) {
      for (const job of jobs.values())
        if (job.state === 'queued')
          job.state =
            result === 'failed' ? 'failed' : result === 'done' ? await copyByLink(job) : writeWrongBytes(job)
      for (const reference of staging.keys()) staging.set(reference, 'online')
    },
    migrate() {
      for (const name of groundTruth.locations('tape'))
        groundTruth.record(`media/${name}`, groundTruth.now(`tape/${name}`))
    },
  }
  return library
}

const sourceOf = (key: string, bytes: Uint8Array): CopySource => ({
  object: { bucket: '', key },
  async *open() {
    yield bytes
  },
  presign: () => Promise.reject(new Error('the directory driver needs no link')),
})

interface DriverOptions extends LibraryOptions {
  readonly library: Library
  readonly inner: TapeDriver
  readonly jobs: Map<string, Job>
  readonly staging: Map<string, 'queued' | 'online'>
  readonly call: Call
}

function driverOf(options: DriverOptions): TapeDriver {
  const { library, inner, folder, staging, clock, call } = options
  const request = <T>(work: () => Promise<T>): Promise<T> =>
    call.through('tape', () =>
      library.modes.down ? Promise.reject(new TransientError('the tape endpoint is down')) : work(),
    )
  return {
    ...inner,
    copy: (file, source, { attempt }, signal) =>
      request(() => copy(options, file, source, attempt, signal)).catch((error: unknown) => {
        if (error instanceof Died) folder.leavePartialFile(file)
        throw error
      }),
    async check(file, checkOptions, signal) {
      const seen = await request(() => check(options, file, checkOptions, signal))
      // The call has verified the file from the moment at which it receives the answer.
      if (seen.kind === 'present')
        call.verifications.push({
          name: file.name,
          sha256: file.sha256,
          onMedia: seen.onMedia,
          atMs: clock.nowMs(),
        })
      return seen
    },
    stage: (file, { reference }) => request(async () => stage(options, file, reference)),
    release: (_file, reference) => request(async () => void staging.delete(reference)),
    async *read(file, signal) {
      await request(async () => {})
      yield* inner.read(file, signal)
    },
    send: (file, putUrl, signal) => request(() => send(options, file, putUrl, signal)),
  }
}

async function copy(
  { library, inner, folder, jobs }: DriverOptions,
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
    folder.recordNew(file.name, onMedia)
  }
}

/** Compares the driver's answer that a file is present with the ground truth. */
async function check(
  { inner, jobs, groundTruth, violations, call }: DriverOptions,
  file: TapeFile,
  options: CheckOptions,
  signal: AbortSignal,
): Promise<TapeCheck> {
  const from = groundTruth.seq()
  const job = jobs.get(options.reference ?? '')
  if (job?.state === 'queued') return { kind: 'in-progress', reason: 'queued' }
  const seen = await inner.check(file, options, signal)
  if (seen.kind === 'absent' && job?.state === 'failed') return { kind: 'failed', reason: 'the job failed' }
  if (seen.kind !== 'present') return seen
  if (!groundTruth.heldBetween(`tape/${file.name}`, file.sha256, from, groundTruth.seq()))
    violations.add(`${call.name}: the driver reports that ${file.name} is present, but it is not`)
  return {
    ...seen,
    onMedia: groundTruth.heldBetween(`media/${file.name}`, file.sha256, from, groundTruth.seq()),
  }
}

function stage(
  { library, folder, staging }: DriverOptions,
  file: TapeFile,
  known: string | null,
): StageResult {
  if (!folder.has(file.name)) throw new InvalidInputError(`${file.name} does not exist`)
  const reference = known ?? `stage ${file.name} ${staging.size}`
  if (!library.modes.asynchronous || staging.get(reference) === 'online') return { kind: 'online', reference }
  staging.set(reference, 'queued')
  return { kind: 'staging', reference, reason: 'in the queue of the library' }
}

async function send(
  { library, inner, put }: DriverOptions,
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
