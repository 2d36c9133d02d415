/** Functions that are wrong on purpose: the checks of the stories must report a violation for each. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { writeTombstone } from '../../shared/copies/delete/tombstones.ts'
import { tapeFileOf } from '../../shared/copies/verify/check-replica.ts'
import { bytesOf, KEYS } from './contents.ts'
import { harmTapeFile, writeLocalFile } from './external-actors.ts'
import type { FunctionInput, World } from './world.ts'

type BrokenFunction = (input: FunctionInput, world: World) => Promise<unknown>

const KEY = KEYS[0]

async function rowsOf({ context }: FunctionInput) {
  const rows = await context.database.selectFrom('copies').selectAll().where('objectKey', '=', KEY).execute()
  const [cloud, tape] = [rows.find((row) => row.kind === 'cloud'), rows.find((row) => row.kind === 'tape')]
  if (cloud === undefined || tape === undefined) throw new Error('the run is not on tape')
  return { cloud, tape }
}

async function checkTape(input: FunctionInput) {
  const { tape } = await rowsOf(input)
  return await input.context.tape.check(
    tapeFileOf(tape),
    { reference: null, readBack: 'always' },
    input.signal,
  )
}

async function recordTombstone(input: FunctionInput) {
  const { cloud, tape } = await rowsOf(input)
  const at = input.context.now()
  const { bucket, md5: etag, sizeBytes } = cloud
  const version = { bucket, key: KEY, etag, versionId: null, sizeBytes, lastModified: at }
  const survivor = {
    kind: 'survivor' as const,
    replica: tape,
    verifiedBy: 'no check',
    evidence: 'read' as const,
    verifiedAt: at,
    askedAt: at,
    wallMs: Date.now(),
  }
  await writeTombstone(
    input.context.database,
    { replica: cloud, version, survivor, reason: 'a test', writtenBy: 'a test' },
    at,
  )
}

const remove = ({ context }: FunctionInput, { bucket }: World) =>
  context.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: KEY }))

interface Case {
  readonly name: string
  /** Prepares the world, in which the run of the first key is in the store and on tape. */
  readonly before?: (world: World, tapeName: string) => void
  readonly run: BrokenFunction
  /** The violation that must be reported. */
  readonly violation: RegExp
}

export const BROKEN_FUNCTIONS: readonly Case[] = [
  {
    name: 'deletes without a check of the copy on tape',
    async run(input, world) {
      await recordTombstone(input)
      await remove(input, world)
    },
    violation: /without having verified/,
  },
  {
    name: 'checks the copy on tape after the deletion',
    async run(input, world) {
      await recordTombstone(input)
      await remove(input, world)
      await checkTape(input)
    },
    violation: /without having verified/,
  },
  {
    name: 'deletes without a tombstone',
    async run(input, world) {
      await checkTape(input)
      await remove(input, world)
    },
    violation: /without a tombstone/,
  },
  {
    name: 'writes the tombstone after the deletion',
    async run(input, world) {
      await checkTape(input)
      await remove(input, world)
      await recordTombstone(input)
    },
    violation: /without a tombstone/,
  },
  {
    name: 'deletes a run whose copy is only on a disk buffer',
    before: (world, name) => world.groundTruth.record(`media/${name}`, null),
    async run(input, world) {
      await checkTape(input)
      await recordTombstone(input)
      await remove(input, world)
    },
    violation: /without having verified/,
  },
  {
    name: 'deletes the last copy',
    before: (world, name) => harmTapeFile(world, name, 'remove'),
    async run(input, world) {
      await recordTombstone(input)
      await remove(input, world)
    },
    violation: /, the last copy/,
  },
  {
    name: "removes the DAQ's file without a check of the copy on tape",
    before: (world) => writeLocalFile(world, KEY, bytesOf(0, 0)),
    async run({ call }, { disk }) {
      const file = disk.find(KEY)
      if (file !== null) await disk.removeFor(call, file)
    },
    violation: /deleted the local copy of .* without having verified/,
  },
  {
    name: 'writes a recalled run over another',
    run: ({ context }, { bucket }) =>
      context.s3.send(new PutObjectCommand({ Bucket: bucket, Key: KEY, Body: bytesOf(0, 1) })),
    violation: /wrote over/,
  },
  {
    name: 'recalls bytes that were never dropped under the key',
    run: ({ context }, { bucket }) =>
      context.s3.send(new PutObjectCommand({ Bucket: bucket, Key: KEYS[2], Body: 'something' })),
    violation: /never dropped/,
  },
  {
    name: 'records a verification of a copy that was not there',
    before: (world, name) => harmTapeFile(world, name, 'damage'),
    async run(input) {
      const { tape } = await rowsOf(input)
      const verified = {
        verifiedAt: input.context.now(),
        verifiedBy: 'no check',
        verifiedEvidence: 'read' as const,
      }
      await input.context.database.updateTable('replicas').set(verified).where('id', '=', tape.id).execute()
    },
    violation: /when these bytes were not there/,
  },
  {
    name: 'leaves a run on tape in the Runlog whose copy is missing',
    run: ({ context }) =>
      context.database.updateTable('replicas').set({ state: 'missing' }).where('kind', '=', 'tape').execute(),
    violation: /Runlog has run 11 of LNGS on tape/,
  },
  {
    name: 'writes over a file on tape',
    async run(input, { context: { tapeFolder } }) {
      const { tape } = await rowsOf(input)
      const other = join(tapeFolder, 'other')
      writeFileSync(other, bytesOf(0, 0))
      renameSync(other, join(tapeFolder, tape.name))
    },
    violation: /was replaced by another file/,
  },
]
