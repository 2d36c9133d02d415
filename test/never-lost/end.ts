/**
 * The end of a story: faults are over, time passes, the functions run as their schedules have it, and
 * everything must come right.
 */
import { createHash } from 'node:crypto'
import { verifyReplica } from '../../shared/copies/verify/verify.ts'
import type { Replica } from '../../shared/database/replica-schema.ts'
import { callFunction, UNDISTURBED } from './calls.ts'
import { type Claims, check } from './check.ts'
import { bytesOf, CONTENTS, KEYS } from './contents.ts'
import { PLAIN } from './library.ts'
import { anHour, take } from './play.ts'
import { type Content, sha256Of } from './truth.ts'
import type { World } from './world.ts'

const HOUR_MS = 3_600_000
/** Longer than any retry waits. */
const ROUND_MS = 8 * HOUR_MS
/** A copy may have to be given up, asked for again and made beside another before it is right. */
const MOST_ROUNDS = 10

export async function end(world: World, claims: Claims): Promise<void> {
  for (const { call, ended } of world.stalled.splice(0)) {
    call.wake('goes on')
    await ended
  }
  world.tapeLibrary.modes = { ...PLAIN, asynchronous: world.tapeLibrary.modes.asynchronous }
  let wrong: readonly string[] = []
  for (let round = 0; round < MOST_ROUNDS; round++) {
    await oneRound(world, round)
    await check(world, claims)
    wrong = [...(await unfinished(world)), ...(await notCopied(world))]
    if (wrong.length === 0) break
  }
  for (const what of wrong) world.violations.add(`in the end: ${what}`)
  await bringBack(world)
  await check(world, claims)
}

/** A copy that cannot be brought back is none: every run that is on tape only comes back into the store. */
async function bringBack(world: World): Promise<void> {
  const wanted = await onlyOnTape(world)
  for (const key of KEYS.keys()) await take(world, { work: { do: 'ask back', key, days: 1 }, ...UNDISTURBED })
  await anHour(world)
  await anHour(world)
  for (const { key, sha256 } of wanted)
    if (world.truth.now(`store/${key}`) !== sha256)
      world.violations.add(`in the end: ${key} (${sha256.slice(0, 12)}) is on tape, and does not come back`)
}

async function onlyOnTape({ context: { database }, truth }: World) {
  const live = await database
    .selectFrom('runFiles')
    .select(['objectKey as key', 'sha256'])
    .where('isLive', '=', true)
    .execute()
  const inMedia = (content: Content) =>
    truth.tapeNames(content).some((name) => truth.now(`media/${name}`) === content.sha256)
  return live.filter((content) => truth.now(`store/${content.key}`) === null && inMedia(content))
}

/** A day in the life of the schedules, with everything that waits in a queue. */
async function oneRound(world: World, round: number): Promise<void> {
  world.clock.wait(ROUND_MS)
  await anHour(world)
  // The cleaner ends what others had begun to delete; every other time only, so that what is in the store is
  // looked at too.
  if (round % 2 === 0) await take(world, { work: { do: 'clean' }, ...UNDISTURBED })
  for (const { id } of await world.context.database.selectFrom('copies').select('id').orderBy('id').execute())
    await verify(world, id)
}

const md5Of = (bytes: Uint8Array | null) =>
  bytes === null ? null : createHash('md5').update(bytes).digest('hex')

const verify = (world: World, id: number) =>
  callFunction(world, 'verify', ({ context, signal }) =>
    verifyReplica(context, id, { readBack: 'always', secondCheckMs: 0 }, signal, context.log),
  )

/** Rows that somebody has begun and nobody ends. */
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
  // Of a version that the store does not hold any more nobody needs to know.
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
      (row) => `the deletion of ${row.url} was begun and not ended, its copy is ${row.state}`,
    ),
    ...requests.map((row) => `the request ${row.name} was never sent`),
  ]
}

/** Of all contents that are left: what the store holds must be catalogued so, and all must be on tape. */
async function notCopied(world: World): Promise<readonly string[]> {
  const { truth, context } = world
  const rows = await context.database.selectFrom('copies').selectAll().execute()
  const unreadable = KEYS.map((_, index) => sha256Of(bytesOf(index, CONTENTS.length - 1)))
  // What only the DAQ has left cannot be copied from here.
  const isLeft = (content: Content) =>
    truth.copies(content).some((location) => !location.startsWith('local/'))
  return truth
    .required()
    .filter((content) => !unreadable.includes(content.sha256) && isLeft(content))
    .flatMap((content) =>
      wrongOf(
        world,
        content,
        rows.filter((row) => row.objectKey === content.key && row.sha256 === content.sha256),
      ).map((what) => `${content.key} (${content.sha256.slice(0, 12)}) ${what}`),
    )
}

function wrongOf({ truth }: World, content: Content, rows: readonly Replica[]): readonly string[] {
  const wrong: string[] = []
  const state = rows.find((row) => row.kind === 'cloud')?.state
  const inStore = truth.now(`store/${content.key}`) === content.sha256
  if (inStore && state !== 'present') wrong.push(`is in the store, and its row says ${state}`)
  if (!inStore && (state === 'present' || state === 'deleting'))
    wrong.push(`is not in the store, and its row says ${state}`)
  const tapes = rows.filter((row) => row.kind === 'tape')
  const isOnTape = tapes.some(
    (row) => row.state === 'on-media' && truth.now(`media/${row.name}`) === content.sha256,
  )
  // The last name that it can have is taken by a file that went bad: that is for people to look at, who were
  // told.
  const holder = truth.now(`tape/${truth.tapeNames(content).at(-1)}`)
  const hasName = holder === null || holder === content.sha256
  const said = tapes.map((row) => `${row.name} ${row.state} ${row.lastError}`).join('; ')
  if (!isOnTape && hasName) wrong.push(`is not on tape: ${said}`)
  return wrong
}
