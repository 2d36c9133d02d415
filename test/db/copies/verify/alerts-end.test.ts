/** Alerts about copies end when the copy is good again, and only the one that it is about. */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { alertLateCopies } from '../../../../shared/copies/tape/late-copies.ts'
import type { WithTape } from '../../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../../shared/copies/tape/tape-request.ts'
import { verifyReplica } from '../../../../shared/copies/verify/verify.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { alertLines } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import { log, START, startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'
import { copyNext } from '../../../support/tape-copies.ts'

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

let run = 800
let key: string
beforeEach(async () => {
  run += 1
  key = `LNGS/run00${run}.mid.gz`
  runs.time = START
  Object.assign(runs.tape, { fault: null, onMedia: true })
  for (const table of ['outbox', 'tombstones', 'replicas', 'tasks'] as const)
    await runs.context.database.deleteFrom(table).execute()
})

const lines = async () => (await alertLines(runs.context.database)).map((line) => line.replace(` ${key}`, ''))
async function verify(kind: 'cloud' | 'tape') {
  runs.time += 60_000
  const { id } = await runs.replica(key, kind)
  return await verifyReplica(runs.context, id, { readBack: 'always', secondCheckMs: 1 }, signal, log)
}
const putBack = (body = key) => runs.context.put(key, body)
const remove = () => runs.context.s3.send(new DeleteObjectCommand({ Bucket: runs.context.bucket, Key: key }))
const tapeFile = () => join(runs.context.tapeFolder, runs.context.bucket, key)
function damageTape(): void {
  chmodSync(tapeFile(), 0o640)
  renameSync(tapeFile(), `${tapeFile()}.kept`)
  writeFileSync(tapeFile(), 'x'.repeat(key.length))
}
function mendTape(): void {
  rmSync(tapeFile())
  writeFileSync(tapeFile(), readFileSync(`${tapeFile()}.kept`))
}

test('a missing copy, and the last copy in danger, are over when the copy is verified again, each time', async () => {
  await runs.put(key)
  for (let time = 0; time < 2; time++) {
    await remove()
    await verify('cloud')
    await verify('cloud')
    await putBack()
    await verify('cloud')
    await verify('cloud')
  }
  const once = ['raise copy-missing', 'resolve copy-missing']
  expect(await lines()).toEqual([...once, ...once])
})

test('the only copy, missing, is a page until it is verified again', async () => {
  await runs.put(key, { onTape: false })
  await remove()
  await verify('cloud')
  await putBack('other bytes')
  await verify('cloud')
  expect(await lines()).toEqual(['raise last-copy-in-danger'])
  await putBack()
  await verify('cloud')
  expect(await lines()).toEqual(['raise last-copy-in-danger', 'resolve last-copy-in-danger'])
})

test('a page about the last copy is lowered when another copy is verified: the bad copy is still bad', async () => {
  await runs.put(key)
  damageTape()
  await verify('tape')
  await remove()
  await verify('cloud')
  expect(await lines()).toEqual(['raise copy-suspicious', 'raise last-copy-in-danger'])
  mendTape()
  await verify('tape')
  expect((await lines()).slice(2)).toEqual([
    'resolve copy-suspicious',
    'resolve last-copy-in-danger',
    'raise copy-missing',
  ])
  await putBack()
  await verify('cloud')
  expect((await lines()).at(-1)).toBe('resolve copy-missing')
})

test('a good copy of new contents does not end the alert about a copy of the former ones', async () => {
  await runs.put(key)
  damageTape()
  await verify('tape')
  await runs.put(key, { body: 'other contents' })
  await verify('tape')
  expect(await lines()).toEqual(['raise copy-suspicious', 'raise tape-name-taken'])
})

test('a copy that is late and fails is over when it is on tape', async () => {
  const { context } = runs
  const { tag, runNumber, sha256 } = await runs.put(key, { onTape: false })
  await acceptTapeRequest(context as WithTape, {
    ...{ tag, runNumber, bucket: context.bucket, key, sha256 },
    priority: 'live',
  })
  const copy = runs.tape.copy.bind(runs.tape)
  Object.assign(runs.tape, { copy: () => Promise.reject(new TransientError('no space')) })
  for (let attempt = 0; attempt < 8; attempt++) {
    await copyNext(context as WithTape, signal, log)
    runs.time += 3_600_000 * 7
  }
  await alertLateCopies(context as WithTape, signal)
  await alertLateCopies(context as WithTape, signal)
  const raised = (await lines()).filter((line) => !line.includes('endpoint'))
  expect(raised.toSorted()).toEqual(['raise not-on-tape', 'raise tape-copy-fails'])
  Object.assign(runs.tape, { copy })
  expect(await copyNext(context as WithTape, signal, log)).toBe('on-media')
  const ended = (await lines()).filter((line) => line.startsWith('resolve') && !line.includes('endpoint'))
  expect(ended.toSorted()).toEqual(['resolve not-on-tape', 'resolve tape-copy-fails'])
})
