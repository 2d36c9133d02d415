/** Checks after every action: compares the catalogue with the ground truth. */
import { sql } from 'kysely'
import type { Replica, ShownCopy } from '../../shared/database/replica-schema.ts'
import { storageOf } from '../../shared/database/storage-summary.ts'
import { describeRun } from '../../shared/queries/runs.ts'
import { oldestCallSince } from './calls.ts'
import type { World } from './world.ts'

/** The last verification that each copy or recall states, by kind and id of the row, milliseconds. */
export type Claims = Map<string, number>

/** Adds what is wrong to the world's violations. `claims` are those that were checked before. */
export async function check(world: World, claims: Claims): Promise<void> {
  const { groundTruth, violations, tape } = world
  for (const what of tape.inspect()) violations.add(what)
  for (const content of groundTruth.required())
    if (groundTruth.copies(content).length === 0)
      violations.add(`${content.key} (${content.sha256.slice(0, 12)}) is lost`)
  const since = oldestCallSince(world)
  const replicas = await world.context.database.selectFrom('copies').selectAll().orderBy('id').execute()
  const recalls = await world.context.database.selectFrom('shownRecalls').selectAll().orderBy('id').execute()
  for (const copy of [...replicas, ...recalls]) checkClaim(world, claims, copy, since)
  await checkRunlog(world, replicas)
  await checkRuns(world)
}

const isCounted = ({ state }: ShownCopy) => state === 'present' || state === 'on-media'

/** The copy must have been there at the time of the verification that its row states. */
function checkClaim(world: World, claims: Claims, replica: ShownCopy, since: number): void {
  const { violations, groundTruth } = world
  const { id, kind, state, name, objectKey: key, sha256, verifiedAt } = replica
  const what = `${kind} ${name}, ${state}`
  if (verifiedAt === null) {
    if (isCounted(replica)) violations.add(`${what}: counts but was never verified`)
    return
  }
  const at = verifiedAt.getTime()
  if (at > world.clock.nowMs()) violations.add(`${what}: verified in the future`)
  if (claims.get(`${kind} ${id}`) === at) return
  claims.set(`${kind} ${id}`, at)
  const location =
    kind === 'tape'
      ? (`${state === 'on-media' ? 'media' : 'tape'}/${name}` as const)
      : (`${kind === 'local' ? 'local' : 'store'}/${key}` as const)
  // A call that stalled records later what it verified before.
  if (!groundTruth.heldAtTime(location, sha256, Math.min(at, since), at))
    violations.add(
      `${what}: recorded as verified ${verifiedAt.toISOString()}, when these bytes were not there`,
    )
}

/** The old status is 1 only for runs whose every file is verified on the medium. */
async function checkRunlog(world: World, replicas: readonly Replica[]): Promise<void> {
  const { rows } = await sql<{
    tag: string
    runNumber: number
  }>`SELECT tag, run_number FROM Runlog WHERE storage_tape_status = 1`.execute(world.context.database)
  for (const { tag, runNumber } of rows) {
    const files = await world.context.database
      .selectFrom('runFiles')
      .innerJoin('runs', 'runs.id', 'runFiles.runId')
      .select(['objectKey as key', 'sha256'])
      .where('tag', '=', tag)
      .where('runNumber', '=', runNumber)
      .where('isCurrent', '=', true)
      .where('isLive', '=', true)
      .execute()
    for (const { key, sha256 } of files)
      if (
        !replicas.some(
          (row) =>
            row.kind === 'tape' && row.state === 'on-media' && row.objectKey === key && row.sha256 === sha256,
        )
      )
        world.violations.add(`Runlog has run ${runNumber} of ${tag} on tape, but ${key} is not there`)
  }
}

/** The row of a run, which searches read, must agree with its replicas. */
async function checkRuns({ context: { database }, violations }: World): Promise<void> {
  for (const run of await database.selectFrom('runs').selectAll().execute()) {
    const { storage } = await describeRun(database, run)
    const [stated, actual] = [JSON.stringify(storageOf(run)), JSON.stringify(storageOf(storage))]
    if (stated !== actual)
      violations.add(
        `run ${run.runNumber} of ${run.tag} is ${actual} by its replicas, but its row states ${stated}`,
      )
  }
}
