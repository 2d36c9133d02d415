/**
 * The world of a story: a real catalogue and store, a tape library, queues, the DAQ's disk, and the time.
 */
import { sql } from 'kysely'
import type { WithTape } from '../../shared/copies/tape/tape-copy.ts'
import { startTestTapeContext, type TestTapeContext } from '../support/tape-context.ts'
import type { Call } from './call.ts'
import { type Clock, createClock } from './clock.ts'
import { createDisk, type Disk } from './disk.ts'
import { createGroundTruth, type GroundTruth } from './ground-truth.ts'
import { createJudge } from './judge.ts'
import { createLibrary, type Library } from './library.ts'
import { createTestQueues, type TestQueues } from './queues.ts'
import { createStore, type Store, TEMPORARY } from './store.ts'
import { createTapeFolder, type TapeFolder } from './tape-folder.ts'
import { createViolations, type Violations } from './violations.ts'

/** What all stories share. */
export interface Stage {
  readonly context: TestTapeContext
  /** How often each kind of event happened: stories without a deletion prove nothing. */
  readonly counts: Map<string, number>
}

export interface World extends Stage {
  readonly bucket: string
  readonly clock: Clock
  readonly groundTruth: GroundTruth
  readonly violations: Violations
  readonly store: Store
  readonly disk: Disk
  readonly tape: TapeFolder
  readonly tapeLibrary: Library
  readonly queues: TestQueues
  /** The calls that are running or stalled. */
  readonly running: Set<Call>
  readonly stalled: { readonly call: Call; readonly ended: Promise<void> }[]
  /** When the calls began that ended since the last check, milliseconds. */
  readonly ended: number[]
  count(what: string): void
}

/** The arguments of a call of a function. */
export interface FunctionInput {
  readonly context: WithTape
  readonly signal: AbortSignal
  readonly call: Call
}

const DAY_MS = 86_400_000

export async function openStage(): Promise<Stage> {
  const environment = {
    CYGNET_TAPE_COPIES_AT_ONCE: '2',
    CYGNET_CLEAN_RUNS_AFTER_DAYS: '1',
    CYGNET_IGZIP: 'never',
    CYGNET_DATABASE_CONNECTIONS: '20',
  }
  return { context: await startTestTapeContext({ environment }), counts: new Map() }
}

/** Makes a new, empty world. */
export async function createWorld(stage: Stage): Promise<World> {
  const { context, counts } = stage
  const { bucket, database, s3, tapeFolder: path } = context
  // Objects have real dates. A story begins three days later, so that none is too young for the cleaner.
  const clock = createClock(Date.now() + 3 * DAY_MS)
  const { nowMs } = clock
  const groundTruth = createGroundTruth(nowMs, bucket)
  const violations = createViolations()
  const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)
  const judge = createJudge({ database, bucket, groundTruth, violations, nowMs, count })
  const store = createStore({ s3, bucket, groundTruth, violations, judge })
  const folder = createTapeFolder(path, groundTruth)
  async function put(key: string, bytes: Uint8Array): Promise<void> {
    if (!key.startsWith(TEMPORARY))
      violations.add(`an endpoint has a link with which it can overwrite ${key}`)
    await store.put(key, bytes)
  }
  const library = createLibrary({ path, folder, groundTruth, violations, clock, read: store.read, put })
  await emptyCatalogue(stage)
  for (const key of await store.keys()) await store.remove(key)
  const parts = {
    disk: createDisk(bucket, groundTruth, judge),
    tape: folder,
    tapeLibrary: library,
    queues: createTestQueues(),
  }
  return {
    ...stage,
    bucket,
    clock,
    groundTruth,
    violations,
    store,
    ...parts,
    running: new Set(),
    stalled: [],
    ended: [],
    count,
  }
}

/** Ends all calls that are stalled. */
export async function leaveWorld({ stalled }: World): Promise<void> {
  for (const { call } of stalled) call.wake('dies')
  await Promise.all(stalled.map(({ ended }) => ended))
}

const TABLES = [
  'tombstones',
  'replicas',
  'recalls',
  'tasks',
  'breakers',
  'run_history',
  'outbox',
  'run_files',
  'runs',
  'arrivals',
  'reconciliations',
  'parked_notifications',
  'dark_objects',
  'Runlog',
]

async function emptyCatalogue({ context: { database } }: Stage): Promise<void> {
  await database.connection().execute(async (session) => {
    await sql`SET FOREIGN_KEY_CHECKS = 0`.execute(session)
    for (const table of TABLES) await sql`DELETE FROM ${sql.table(table)}`.execute(session.withoutPlugins())
    await sql`SET FOREIGN_KEY_CHECKS = 1`.execute(session)
  })
}
