/**
 * For tests of deletion: runs in the store and on tape, and a store in which a test can intercept any
 * request.
 */
import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { expect } from 'vitest'
import { contentOfFile, replicasOfContent } from '../../shared/catalogue/replicas.ts'
import { findLiveFile } from '../../shared/catalogue/runs.ts'
import { requestCopy } from '../../shared/copies/tape/sweep-copies.ts'
import type { Copy, Tombstone } from '../../shared/database/replica-schema.ts'
import { describeObject } from '../../shared/storage/objects.ts'
import { signal } from './context.ts'
import type { TestTapeContext } from './tape-context.ts'
import { copyNext } from './tape-copies.ts'

export const DAY_MS = 86_400_000
export const inTwoDays = () => new Date(Date.now() + 2 * DAY_MS)

export interface SafeRun {
  readonly key: string
  readonly bytes: string
  readonly cloud: Copy
  readonly tape: Copy
}

/** Makes a run that is in the store, catalogued, and has a verified copy on tape. */
export async function safeRun(
  context: TestTapeContext,
  key: string,
  bytes = `bytes of ${key}`,
): Promise<SafeRun> {
  const { runNumber, tag, sha256 } = await context.putRun(key, bytes)
  const file = await findLiveFile(context.database, { bucket: context.bucket, key })
  if (file === null) throw new Error(`${key} is not catalogued`)
  const requested = await requestCopy(context, contentOfFile(file, { tag, runNumber }), {
    priority: 'live',
    requestedBy: 'test',
  })
  if ((await copyNext(context, signal, context.log)) !== 'on-media') throw new Error(`${key} is not on tape`)
  const copies = await replicasOfContent(context.database, { bucket: context.bucket, key, sha256 })
  const cloud = copies.find((copy) => copy.kind === 'cloud')
  const tape = copies.find((copy) => copy.id === requested.id)
  if (cloud === undefined || tape === undefined) throw new Error(`${key} has no copies`)
  return { key, bytes, cloud, tape }
}

export const replicaById = (context: TestTapeContext, id: number): Promise<Copy> =>
  context.database.selectFrom('copies').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

export const tombstonesOf = (context: TestTapeContext, replicaId: number): Promise<Tombstone[]> =>
  context.database
    .selectFrom('tombstones')
    .selectAll()
    .where('replicaId', '=', replicaId)
    .orderBy('id')
    .execute()

export const isStored = async (context: TestTapeContext, key: string): Promise<boolean> =>
  (await describeObject(context.s3, { bucket: context.bucket, key }, signal)) !== null

/** Deletes an object without Cygnet. */
export async function removeByHand(context: TestTapeContext, key: string): Promise<void> {
  await context.s3.send(new DeleteObjectCommand({ Bucket: context.bucket, Key: key }))
}

/**
 * Expects what must hold after every refusal: nothing was deleted, and no lease or tombstone is left. `state` is
 * another one when the store was just seen with another object.
 */
export async function expectUntouched(
  context: TestTapeContext,
  run: SafeRun,
  state: 'present' | 'suspicious' = 'present',
): Promise<void> {
  expect(await isStored(context, run.key)).toBe(true)
  const cloud = await replicaById(context, run.cloud.id)
  expect(cloud).toMatchObject({ state, leaseOwner: null, leaseUntil: null, deletedAt: null })
  for (const tombstone of await tombstonesOf(context, run.cloud.id)) expect(tombstone.state).toBe('withdrawn')
}

export interface Interference {
  /** The name of the command, e.g. `DeleteObjectCommand`. */
  readonly at: string
  /** Intercepts only the nth request of this command, from 1; all if absent. */
  readonly nth?: number
  /** Runs in place of the request; `send` sends it. */
  readonly act: (send: () => Promise<unknown>) => Promise<unknown>
}

/**
 * The same context with a store whose requests the test intercepts. Requests are counted by the name of the
 * command.
 */
export function withInterference(context: TestTapeContext, ...steps: readonly Interference[]) {
  const counts = new Map<string, number>()
  const send = async (command: object, ...rest: unknown[]): Promise<unknown> => {
    const name = command.constructor.name
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    const pass = () =>
      (context.s3.send as (...args: unknown[]) => Promise<unknown>).call(context.s3, command, ...rest)
    const step = steps.find(({ at, nth }) => at === name && (nth === undefined || nth === count))
    return step === undefined ? await pass() : await step.act(pass)
  }
  const s3 = new Proxy(context.s3, {
    get: (target, property) => (property === 'send' ? send : Reflect.get(target, property)),
  }) as S3Client
  return { ...context, s3, requests: (name: string) => counts.get(name) ?? 0 }
}
