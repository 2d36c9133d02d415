/**
 * The end of a story: there are no more faults, time passes, the functions run by their schedules, and
 * everything must reach its correct final state.
 */
import { createHash } from 'node:crypto'
import { verifyReplica } from '../../shared/copies/verify/verify.ts'
import type { Replica } from '../../shared/database/replica-schema.ts'
import { callFunction, UNDISTURBED } from './calls.ts'
import { type Claims, check } from './check.ts'
import { bytesOf, CONTENTS, KEYS } from './contents.ts'
import { type Content, sha256Of } from './ground-truth.ts'
import { PLAIN } from './library.ts'
import { quietHour, runStep } from './run-action.ts'
import type { World } from './world.ts'

const HOUR_MS = 3_600_000
/** Longer than any pause before a retry. */
const ROUND_MS = 8 * HOUR_MS
/** A copy may have to be given up, requested again and made under an alternate name before it is right. */
const MAX_ROUNDS = 10

export async function end(world: World, claims: Claims): Promise<void> {
  for (const { call, ended } of world.stalled.splice(0)) {
    call.wake('continues')
    await ended
  }
  world.tapeLibrary.modes = { ...PLAIN, asynchronous: world.tapeLibrary.modes.asynchronous }
  let wrong: readonly string[] = []
  for (let round = 0; round < MAX_ROUNDS; round++) {
    await oneRound(world, round)
    await check(world, claims)
    wrong = [...(await unfinished(world)), ...(await notCopied(world))]
    if (wrong.length === 0) break
  }
  for (const what of wrong) world.violations.add(`in the end: ${what}`)
  await recallAll(world)
  await check(world, claims)
}

/**
 * A copy that cannot be recalled is worthless: every run that is only on tape must come back into the store.
 */
async function recallAll(world: World): Promise<void> {
  const wanted = await onlyOnTape(world)
  for (const key of KEYS.keys())
    await runStep(world, { work: { do: 'request recall', key, days: 1 }, ...UNDISTURBED })
  await quietHour(world)
  await quietHour(world)
  for (const { key, sha256 } of wanted)
    if (world.groundTruth.now(`store/${key}`) !== sha256)
      world.violations.add(`in the end: ${key} (${sha256.slice(0, 12)}) is on tape but cannot be recalled`)
}

async function onlyOnTape({ context: { database }, groundTruth }: World) {
  const live = await database
    .selectFrom('runFiles')
    .select(['objectKey as key', 'sha256'])
    .where('isLive', '=', true)
    .execute()
  const inMedia = (content: Content) =>
    groundTruth.tapeNames(content).some((name) => groundTruth.now(`media/${name}`) === content.sha256)
  return live.filter((content) => groundTruth.now(`store/${content.key}`) === null && inMedia(content))
}

/** Time passes and all schedules run once, with everything that waits in a queue. */
async function oneRound(world: World, round: number): Promise<void> {
  world.clock.wait(ROUND_MS)
  await quietHour(world)
  // The cleaner completes deletions that were begun. It runs only every other time, so that copies in the
  // store are verified too.
  if (round % 2 === 0) await runStep(world, { work: { do: 'clean' }, ...UNDISTURBED })
  for (const { id } of await world.context.database.selectFrom('copies').select('id').orderBy('id').execute())
    await verify(world, id)
}

const md5Of = (bytes: Uint8Array | null) =>
  bytes === null ? null : createHash('md5').update(bytes).digest('hex')

const verify = (world: World, id: number) =>
  callFunction(world, 'verify', ({ context, signal }) =>
    verifyReplica(context, id, { readBack: 'always', secondCheckMs: 0 }, signal, context.log),
  )

/** Work that was begun and not ended. */
async function unfinished({ clock, store, context: { database } }: World): Promise<readonly string[]> {
  const replicas = await database
    .selectFrom('copies')
    .selectAll()
    .where((where) =>
      where.or([
        where('state', 'in', ['copying', 'submitted', 'staged', 'deleting']),
        where('leaseUntil', '>', clock.now()),
      ]),
    )
    .execute()
  const recalls = await database
    .selectFrom('shownRecalls')
    .selectAll()
    .where('state', 'in', ['copying', 'staging'])
    .execute()
  const waiting = await database
    .selectFrom('arrivals')
    .selectAll()
    .where('state', 'in', ['received', 'processing'])
    .execute()
  const etags = new Map(
    await Promise.all(KEYS.map(async (key) => [key as string, md5Of(await store.read(key))] as const)),
  )
  // Arrivals of versions that the store no longer holds do not matter.
  const arrivals = waiting.filter((row) => etags.get(row.objectKey) === row.etag)
  const tombstones = await database
    .selectFrom('tombstones')
    .innerJoin('replicas', 'replicas.id', 'replicaId')
    .select(['tombstones.url', 'replicas.state'])
    .where('tombstones.state', '=', 'intended')
    .execute()
  const requests = await database.selectFrom('outbox').select('name').where('sentAt', 'is', null).execute()
  return [
    ...[...replicas, ...recalls].map((row) => `${row.kind} ${row.name} is ${row.state}: ${row.lastError}`),
    ...arrivals.map((row) => `the arrival of ${row.objectKey} is ${row.state}: ${row.reason}`),
    ...tombstones.map(
      (row) => `the deletion of ${row.url} was begun but not ended, its copy is ${row.state}`,
    ),
    ...requests.map((row) => `the request ${row.name} was never sent`),
  ]
}

/** Contents that exist somewhere must be on tape, and those in the store must be catalogued there. */
async function notCopied(world: World): Promise<readonly string[]> {
  const { groundTruth, context } = world
  const rows = await context.database.selectFrom('copies').selectAll().execute()
  const unreadable = KEYS.map((_, index) => sha256Of(bytesOf(index, CONTENTS.length - 1)))
  // A file that is only on the DAQ's disk cannot be copied from there.
  const isLeft = (content: Content) =>
    groundTruth.copies(content).some((location) => !location.startsWith('local/'))
  return groundTruth
    .required()
    .filter((content) => !unreadable.includes(content.sha256) && isLeft(content))
    .flatMap((content) =>
      problemsOf(
        world,
        content,
        rows.filter((row) => row.objectKey === content.key && row.sha256 === content.sha256),
      ).map((what) => `${content.key} (${content.sha256.slice(0, 12)}) ${what}`),
    )
}

function problemsOf({ groundTruth }: World, content: Content, rows: readonly Replica[]): readonly string[] {
  const wrong: string[] = []
  const state = rows.find((row) => row.kind === 'cloud')?.state
  const inStore = groundTruth.now(`store/${content.key}`) === content.sha256
  if (inStore && state !== 'present') wrong.push(`is in the store, but its row states ${state}`)
  if (!inStore && (state === 'present' || state === 'deleting'))
    wrong.push(`is not in the store, but its row states ${state}`)
  const tapes = rows.filter((row) => row.kind === 'tape')
  const isOnTape = tapes.some(
    (row) => row.state === 'on-media' && groundTruth.now(`media/${row.name}`) === content.sha256,
  )
  // If a bad file has the alternate name, the last one possible, people were alerted and must act.
  const holder = groundTruth.now(`tape/${groundTruth.tapeNames(content).at(-1)}`)
  const hasFreeName = holder === null || holder === content.sha256
  const states = tapes.map((row) => `${row.name} ${row.state} ${row.lastError}`).join('; ')
  if (!isOnTape && hasFreeName) wrong.push(`is not on tape: ${states}`)
  return wrong
}
