/** Functions that are wrong on purpose: what watches over the stories must object to each of them. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { writeTombstone } from '../../shared/copies/delete/tombstones.ts'
import { tapeFileOf } from '../../shared/copies/verify/check-replica.ts'
import { bytesOf, KEYS } from './contents.ts'
import { harmTape, keepFile } from './outside.ts'
import type { Given, World } from './world.ts'

type Broken = (given: Given, world: World) => Promise<unknown>

const KEY = KEYS[0]

async function rowsOf({ context }: Given) {
  const rows = await context.database.selectFrom('copies').selectAll().where('objectKey', '=', KEY).execute()
  const [cloud, tape] = [rows.find((row) => row.kind === 'cloud'), rows.find((row) => row.kind === 'tape')]
  if (cloud === undefined || tape === undefined) throw new Error('the run is not on tape')
  return { cloud, tape }
}

async function look(given: Given) {
  const { tape } = await rowsOf(given)
  return await given.context.tape.check(
    tapeFileOf(tape),
    { reference: null, readBack: 'always' },
    given.signal,
  )
}

async function bury(given: Given) {
  const { cloud, tape } = await rowsOf(given)
  const at = given.context.now()
  const { bucket, md5: etag, sizeBytes } = cloud
  const version = { bucket, key: KEY, etag, versionId: null, sizeBytes, lastModified: at }
  const survivor = { kind: 'survivor' as const, replica: tape, verifiedBy: 'nobody', verifiedAt: at }
  await writeTombstone(
    given.context.database,
    { replica: cloud, version, survivor, reason: 'a test', writtenBy: 'a test' },
    at,
  )
}

const remove = ({ context }: Given, { bucket }: World) =>
  context.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: KEY }))

interface Case {
  readonly what: string
  /** What happens before; the run of the first key is in the store and on tape then. */
  readonly before?: (world: World, tapeName: string) => void
  readonly does: Broken
  /** What must be said of it. */
  readonly said: RegExp
}

export const BROKEN: readonly Case[] = [
  {
    what: 'deletes without a look',
    async does(given, world) {
      await bury(given)
      await remove(given, world)
    },
    said: /without having verified/,
  },
  {
    what: 'looks after it has deleted',
    async does(given, world) {
      await bury(given)
      await remove(given, world)
      await look(given)
    },
    said: /without having verified/,
  },
  {
    what: 'deletes without a tombstone',
    async does(given, world) {
      await look(given)
      await remove(given, world)
    },
    said: /without a tombstone/,
  },
  {
    what: 'writes the tombstone after it has deleted',
    async does(given, world) {
      await look(given)
      await remove(given, world)
      await bury(given)
    },
    said: /without a tombstone/,
  },
  {
    what: 'deletes what is on a disk buffer only',
    before: (world, name) => world.truth.note(`media/${name}`, null),
    async does(given, world) {
      await look(given)
      await bury(given)
      await remove(given, world)
    },
    said: /without having verified/,
  },
  {
    what: 'deletes the last copy',
    before: (world, name) => harmTape(world, name, 'remove'),
    async does(given, world) {
      await bury(given)
      await remove(given, world)
    },
    said: /the last copy there was/,
  },
  {
    what: "removes the DAQ's file without a look",
    before: (world) => keepFile(world, KEY, bytesOf(0, 0)),
    async does({ call }, { disk }) {
      const file = disk.find(KEY)
      if (file !== null) await disk.removeFor(call, file)
    },
    said: /deleted the local copy of .* without having verified/,
  },
  {
    what: 'brings a run back over another',
    does: ({ context }, { bucket }) =>
      context.s3.send(new PutObjectCommand({ Bucket: bucket, Key: KEY, Body: bytesOf(0, 1) })),
    said: /wrote over/,
  },
  {
    what: 'brings back bytes that are no run of the key',
    does: ({ context }, { bucket }) =>
      context.s3.send(new PutObjectCommand({ Bucket: bucket, Key: KEYS[2], Body: 'something' })),
    said: /nobody had dropped/,
  },
  {
    what: 'says of a copy that it was verified when it was not there',
    before: (world, name) => harmTape(world, name, 'damage'),
    async does(given) {
      const { tape } = await rowsOf(given)
      const verified = { verifiedAt: given.context.now(), verifiedBy: 'nobody' }
      await given.context.database.updateTable('replicas').set(verified).where('id', '=', tape.id).execute()
    },
    said: /when these bytes were not there/,
  },
  {
    what: 'says of a run that is not on tape that it is',
    does: ({ context }) =>
      context.database.updateTable('replicas').set({ state: 'missing' }).where('kind', '=', 'tape').execute(),
    said: /Runlog has run 11 of LNGS on tape/,
  },
  {
    what: 'writes over a file on tape',
    async does(given, { context: { tapeFolder } }) {
      const { tape } = await rowsOf(given)
      const other = join(tapeFolder, 'other')
      writeFileSync(other, bytesOf(0, 0))
      renameSync(other, join(tapeFolder, tape.name))
    },
    said: /was replaced by another file/,
  },
]
