/** Runs that are only on tape: catalogued, copied, verified, and deleted from the store. */
import { randomBytes, randomUUID } from 'node:crypto'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { recallsOfRuns } from '../../shared/catalogue/recalls.ts'
import { claimReplica, endClaim } from '../../shared/catalogue/replica-work.ts'
import { type Content, replicasOfRun, requestTapeReplica } from '../../shared/catalogue/replicas.ts'
import type { CopyKind, CopyState, ReplicaState, ShownCopy } from '../../shared/database/replica-schema.ts'
import { finishCopy, TEST_LEASE_SECONDS } from './catalogue.ts'
import { signal } from './context.ts'
import type { RecallTape } from './recall-tape.ts'
import type { CataloguedObject, TestTapeContext } from './tape-context.ts'

export interface TestRun extends CataloguedObject {
  readonly key: string
  readonly runId: number
  readonly bytes: Uint8Array
}

export async function makeRun(
  context: TestTapeContext,
  runNumber: number,
  contents: number | Uint8Array = 3000,
  tag = 'LNGS',
): Promise<TestRun> {
  const key = `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`
  const bytes = typeof contents === 'number' ? randomBytes(contents) : contents
  const catalogued = await context.putRun(key, bytes)
  const { id } = await context.database
    .selectFrom('runs')
    .select('id')
    .where('tag', '=', tag)
    .where('runNumber', '=', runNumber)
    .executeTakeFirstOrThrow()
  return { ...catalogued, key, runId: id, bytes }
}

const contentOfRun = (context: TestTapeContext, run: TestRun): Content => ({
  run: { id: run.runId, tag: run.tag, runNumber: run.runNumber },
  bucket: context.bucket,
  key: run.key,
  sizeBytes: run.bytes.length,
  md5: run.md5,
  adler32: run.adler32,
  sha256: run.sha256,
})

/** Adds the row of a tape copy in this state, and its bytes at the endpoint. */
export async function putOnTape(
  context: TestTapeContext,
  tape: Pick<RecallTape, 'files' | 'endpoint' | 'url'>,
  run: TestRun,
  state: ReplicaState = 'on-media',
): Promise<void> {
  const name = `${context.bucket}/${run.key}`
  tape.files.set(name, run.bytes)
  const place = { endpoint: tape.endpoint, url: tape.url(name), name, requestedBy: 'test' }
  const { id } = await requestTapeReplica(context.database, contentOfRun(context, run), place, new Date())
  await finishCopy(context.database, id, state)
}

/** Deletes a run from the store, with the rows that the cleaner leaves. */
export async function deleteFromStore(context: TestTapeContext, run: TestRun): Promise<void> {
  await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: run.key }))
  const cloud = await replicaOf(context, run, 'cloud')
  if (cloud !== undefined) await setState(context, cloud.id, cloud.state, 'deleted')
}

export async function onlyOnTape(
  context: TestTapeContext,
  tape: Pick<RecallTape, 'files' | 'endpoint' | 'url'>,
  runNumber: number,
  sizeBytes?: number,
): Promise<TestRun> {
  const run = await makeRun(context, runNumber, sizeBytes)
  await putOnTape(context, tape, run)
  await deleteFromStore(context, run)
  return run
}

export async function setState(
  context: TestTapeContext,
  id: number,
  from: CopyState,
  to: ReplicaState,
): Promise<void> {
  const claim = await claimReplica(context.database, id, [from], {
    owner: randomUUID(),
    leaseSeconds: TEST_LEASE_SECONDS,
  })
  if (claim === null) throw new Error(`replica ${id} is not ${from}`)
  const verified =
    to === 'on-media' || to === 'staged'
      ? { verifiedAt: new Date(), verifiedBy: 'test', verifiedEvidence: 'read' as const }
      : {}
  await endClaim(context.database, claim, { change: { state: to, ...verified } }, new Date())
}

export async function replicaOf(
  context: TestTapeContext,
  run: TestRun,
  kind: CopyKind,
): Promise<ShownCopy | undefined> {
  const copies = await replicasOfRun(context.database, run.runId)
  return [...copies, ...(await recallsOfRuns(context.database, [run.runId]))].find(
    (replica) => replica.kind === kind && replica.sha256 === run.sha256,
  )
}

export async function bytesInStore(context: TestTapeContext, key: string): Promise<Buffer | null> {
  const { describeObject, readObject } = await import('../../shared/storage/objects.ts')
  const object = await describeObject(context.s3, { bucket: context.bucket, key }, signal)
  if (object === null) return null
  const chunks: Uint8Array[] = []
  for await (const chunk of readObject(context.s3, object, signal)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
