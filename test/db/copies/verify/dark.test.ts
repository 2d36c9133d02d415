import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { recordArrivals } from '../../../../shared/catalogue/arrivals.ts'
import { findDark } from '../../../../shared/copies/verify/dark/dark.ts'
import { InvalidInputError } from '../../../../shared/errors.ts'
import { listObjects } from '../../../../shared/storage/objects.ts'
import { alertLines } from '../../../support/alerts.ts'
import { arrivalOf, signal } from '../../../support/context.ts'
import { log, startVerifiedRuns, type VerifiedRuns } from '../../../support/copies/verified-runs.ts'

const HOUR = 3_600_000

let runs: VerifiedRuns
beforeAll(async () => {
  runs = await startVerifiedRuns()
})
afterAll(() => runs?.context.close())

beforeEach(async () => {
  // The store's own clock dates the objects: two hours later they are old.
  runs.time = Date.now() + 2 * HOUR
  for (const table of ['tombstones', 'replicas', 'darkObjects', 'reconciliations', 'outbox'] as const)
    await runs.context.database.deleteFrom(table).execute()
  await runs.alerts()
})

/** The bucket is empty again. */
afterEach(async () => {
  for (let left = await listed(); left.length > 0; left = await listed())
    for (const { key } of left) await remove(key)
})
const listed = async () =>
  (await listObjects(runs.context.s3, { bucket: runs.context.bucket, prefix: '', startAfter: null }, signal))
    .objects

const inBucket = () =>
  findDark(runs.context, { bucket: runs.context.bucket }, { secondCheckMs: 1 }, signal, log)
const onTape = () => findDark(runs.context, { tape: true }, {}, signal, log)
const rows = () => runs.context.database.selectFrom('darkObjects').selectAll().orderBy('name').execute()
const remove = (key: string) =>
  runs.context.s3.send(new DeleteObjectCommand({ Bucket: runs.context.bucket, Key: key }))
function writeTape(name: string, text = 'x'): void {
  const path = join(runs.context.tapeFolder, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

describe('in a bucket', () => {
  test('objects named like runs and not in the ledger are dark once they are an hour old', async () => {
    await runs.put('A/run1.mid.gz', { onTape: false })
    await runs.context.put('A/run2.mid.gz', 'dark')
    const { etag } = await runs.context.put('A/run3.mid.gz', 'announced')
    await recordArrivals(
      runs.context.database,
      [arrivalOf(runs.context.bucket, 'A/run3.mid.gz', etag)],
      new Date(),
    )
    await runs.context.put('A/run4.mid.gz', 'announced without a version')
    await recordArrivals(
      runs.context.database,
      [arrivalOf(runs.context.bucket, 'A/run4.mid.gz', null)],
      new Date(),
    )
    for (const other of ['A/notes.txt', 'EVENTS/LNGS_1_1.dat', 'A/run2.mid.crc32c'])
      await runs.context.put(other, 'x')
    runs.time = Date.now()
    expect(await inBucket()).toMatchObject({ dark: 0, listed: 7 })
    runs.time += 2 * HOUR
    expect(await inBucket()).toMatchObject({
      endpoint: `s3://${runs.context.bucket}`,
      listed: 7,
      dark: 1,
      darkBytes: 4,
      examples: ['A/run2.mid.gz'],
    })
    const at = new Date(runs.time)
    expect(await rows()).toMatchObject([
      { name: 'A/run2.mid.gz', sizeBytes: 4, firstSeenAt: at, lastSeenAt: at, resolvedAt: null },
    ])
  })

  test('a version that is not in the ledger is dark although its key is known', async () => {
    await runs.put('B/run1.mid.gz', { onTape: false })
    await runs.context.put('B/run1.mid.gz', 'another version')
    expect(await inBucket()).toMatchObject({ dark: 1, examples: ['B/run1.mid.gz'] })
  })

  test('dark objects raise one alert a day, and are resolved once they are known', async () => {
    await runs.context.put('C/run1.mid.gz', 'dark')
    const first = new Date(runs.time)
    await inBucket()
    await inBucket()
    const told = await runs.alerts()
    expect(told).toMatchObject([
      { rule: 'dark-copies', severity: 'warning', summary: expect.stringContaining('C/run1.mid.gz') },
    ])
    runs.time += 24 * HOUR
    await inBucket()
    expect(await runs.alerts()).toHaveLength(1)
    expect(await rows()).toMatchObject([{ firstSeenAt: first, lastSeenAt: new Date(runs.time) }])
    runs.time += HOUR
    await runs.put('C/run1.mid.gz', { onTape: false })
    expect(await inBucket()).toMatchObject({ dark: 0, resolved: 1 })
    expect(await rows()).toMatchObject([{ firstSeenAt: first, resolvedAt: new Date(runs.time) }])
    await inBucket()
    const about = `dark-copies s3://${runs.context.bucket}`
    expect((await alertLines(runs.context.database)).slice(-2)).toEqual([
      `raise ${about}`,
      `resolve ${about}`,
    ])
  })

  test('copies that are not listed are verified, and missing when they do not exist', async () => {
    for (const name of ['1', '2', '3']) await runs.put(`D/run${name}.mid.gz`, { onTape: false })
    await remove('D/run2.mid.gz')
    await remove('D/run3.mid.gz')
    expect(await inBucket()).toMatchObject({ dark: 0, unlisted: { checked: 2, missing: 2 } })
    expect(await runs.replica('D/run2.mid.gz', 'cloud')).toMatchObject({ state: 'missing' })
    expect(await runs.replica('D/run1.mid.gz', 'cloud')).toMatchObject({ state: 'present' })
    expect((await runs.alerts()).map(({ rule }) => rule)).toEqual([
      'last-copy-in-danger',
      'last-copy-in-danger',
    ])
  })

  test('a copy that was stored after its page was listed is not missing', async () => {
    await runs.put('E/run1.mid.gz', { onTape: false })
    const send = runs.context.s3.send.bind(runs.context.s3) as (...args: unknown[]) => Promise<object>
    const s3 = Object.assign(Object.create(runs.context.s3) as typeof runs.context.s3, {
      send: async (command: object, ...rest: unknown[]) => {
        const answer = await send(command, ...rest)
        return command.constructor.name === 'ListObjectsV2Command'
          ? { ...answer, Contents: [], IsTruncated: false }
          : answer
      },
    })
    const report = await findDark({ ...runs.context, s3 }, { bucket: runs.context.bucket }, {}, signal, log)
    expect(report).toMatchObject({ unlisted: { checked: 1, verified: 1, missing: 0 } })
  })

  test('each page of a bucket is compared with its own range of the catalogue', async () => {
    const keys = Array.from({ length: 1100 }, (_, index) => `F/run${String(index).padStart(5, '0')}.mid.gz`)
    await runs.context.putAll(keys, 'x')
    await recordArrivals(
      runs.context.database,
      keys.slice(1).map((key) => arrivalOf(runs.context.bucket, key, null)),
      new Date(),
    )
    // One in the first range and one in the second that are catalogued and missing.
    for (const key of ['F/run00500a/run1.mid.gz', 'F/run01099a/run1.mid.gz']) {
      await runs.put(key, { onTape: false })
      await remove(key)
    }
    expect(await inBucket()).toMatchObject({
      listed: 1100,
      dark: 1,
      examples: ['F/run00000.mid.gz'],
      unlisted: { checked: 2, missing: 2 },
    })
  })

  test('a bucket that is not a raw bucket is refused', async () => {
    await expect(findDark(runs.context, { bucket: 'scratch' }, {}, signal, log)).rejects.toThrow(
      InvalidInputError,
    )
  })
})

describe('on tape', () => {
  test('files at the tape endpoint that no copy names are dark, with alert and dates; our own files are not', async () => {
    await runs.put('G/run1.mid.gz')
    writeTape(`${runs.context.bucket}/G/run2.mid.gz`, 'dark')
    writeTape('backup/old.tar', 'of another program')
    expect(await onTape()).toMatchObject({
      endpoint: runs.tape.endpoint,
      listed: 3,
      dark: 2,
      darkBytes: 22,
      unlisted: { checked: 0 },
    })
    expect((await rows()).map(({ name, endpoint }) => [name, endpoint])).toEqual([
      ['backup/old.tar', runs.tape.endpoint],
      [`${runs.context.bucket}/G/run2.mid.gz`, runs.tape.endpoint],
    ])
    expect(await runs.alerts()).toMatchObject([
      { rule: 'dark-copies', summary: expect.stringContaining('backup/old.tar') },
    ])
    rmSync(join(runs.context.tapeFolder, 'backup'), { recursive: true })
    runs.time += HOUR
    expect(await onTape()).toMatchObject({ dark: 1, resolved: 1 })
    rmSync(join(runs.context.tapeFolder, runs.context.bucket, 'G'), { recursive: true })
  })

  test('more files at the tape endpoint than one page are all compared', async () => {
    for (let index = 0; index < 1203; index++) writeTape(`many/${index}`)
    expect(await onTape()).toMatchObject({ listed: 1203, dark: 1203 })
    expect(await rows()).toHaveLength(1203)
    rmSync(join(runs.context.tapeFolder, 'many'), { recursive: true })
  })

  test('a tape endpoint that cannot be listed, or is not configured, has no report', async () => {
    const { list: _unlisted, ...blind } = runs.tape
    expect(await findDark({ ...runs.context, tape: blind }, { tape: true }, {}, signal, log)).toBeNull()
    expect(await findDark({ ...runs.context, tape: null }, { tape: true }, {}, signal, log)).toBeNull()
  })
})
