/** What must hold after every action: the catalogue against what is really there. */
import { sql } from 'kysely'
import type { Replica, ShownCopy } from '../../shared/database/replica-schema.ts'
import { storageOf } from '../../shared/database/storage-summary.ts'
import { describeRun } from '../../shared/queries/runs.ts'
import { oldestCallSince } from './calls.ts'
import type { World } from './world.ts'

/** When each copy or recall said last that it was verified, by kind and id of the row, milliseconds. */
export type Claims = Map<string, number>

/** Adds what is wrong to the world's violations. `claims` are those that were looked into before. */
export async function check(world: World, claims: Claims): Promise<void> {
  const { truth, violations, tape } = world
  for (const what of tape.inspect()) violations.add(what)
  for (const content of truth.required())
    if (truth.copies(content).length === 0)
      violations.add(`${content.key} (${content.sha256.slice(0, 12)}) is lost`)
  const since = oldestCallSince(world)
  const replicas = await world.context.database.selectFrom('copies').selectAll().orderBy('id').execute()
  const recalls = await world.context.database.selectFrom('shownRecalls').selectAll().orderBy('id').execute()
  for (const copy of [...replicas, ...recalls]) checkClaim(world, claims, copy, since)
  await checkRunlog(world, replicas)
  await checkRuns(world)
}

const isCounted = ({ state }: ShownCopy) => state === 'present' || state === 'on-media'

/** What a row says of its verification must have been so at that time. */
function checkClaim(world: World, claims: Claims, replica: ShownCopy, since: number): void {
  const { violations, truth } = world
  const { id, kind, state, name, objectKey: key, sha256, verifiedAt } = replica
  const what = `${kind} ${name}, ${state}`
  if (verifiedAt === null) {
    if (isCounted(replica)) violations.add(`${what}: counts, and was never verified`)
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
  // A call that stood still writes down later what it saw before.
  if (!truth.heldAtTime(location, sha256, Math.min(at, since), at))
    violations.add(
      `${what}: said to be verified ${verifiedAt.toISOString()}, when these bytes were not there`,
    )
}

/** The old status says 1 only of runs whose every file is verified on the medium. */
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
        world.violations.add(`Runlog has run ${runNumber} of ${tag} on tape, and ${key} is not`)
  }
}

/** Where a run is by its own row, which searches read, is where its replicas are. */
async function checkRuns({ context: { database }, violations }: World): Promise<void> {
  for (const run of await database.selectFrom('runs').selectAll().execute()) {
    const { storage } = await describeRun(database, run)
    const [said, is] = [JSON.stringify(storageOf(run)), JSON.stringify(storageOf(storage))]
    if (said !== is)
      violations.add(`run ${run.runNumber} of ${run.tag} is ${is} by its replicas, and its row says ${said}`)
  }
}
