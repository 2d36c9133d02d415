import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../../shared/config/config.ts'
import type { Context } from '../../../../shared/context.ts'
import {
  type CleanEventsOptions,
  cleanEvents,
  markEventSeen,
  parseEventKey,
} from '../../../../shared/copies/clean/clean-events.ts'
import { describeObject, listObjects } from '../../../../shared/storage/objects.ts'
import { signal } from '../../../support/context.ts'
import { removeByHand, withInterference } from '../../../support/deletions.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

let context: TestTapeContext
beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())

const after = (seconds: number) => new Date(Date.now() + seconds * 1000)
const clean = (options: Partial<CleanEventsOptions> = {}, on: Context<'database' | 's3'> = context) =>
  cleanEvents(on, { dryRun: false, now: new Date(), ...options }, signal, context.log)

async function keys(prefix = 'EVENTS/'): Promise<string[]> {
  const found: string[] = []
  let startAfter: string | null = null
  do {
    const page: Awaited<ReturnType<typeof listObjects>> = await listObjects(
      context.s3,
      { bucket: context.bucket, prefix, startAfter },
      signal,
    )
    found.push(...page.objects.map((object) => object.key))
    startAfter = page.last
  } while (startAfter !== null)
  return found
}

async function see(key: string, at: Date, etag?: string) {
  const object = await describeObject(context.s3, { bucket: context.bucket, key }, signal)
  await markEventSeen(context.database, { bucket: context.bucket, key }, etag ?? object?.etag ?? '', at)
}

const seenRows = () =>
  context.database.selectFrom('seenEvents').selectAll().where('bucket', '=', context.bucket).execute()
async function emptied() {
  await clean({ now: after(100_000) })
  expect(await keys()).toEqual([])
}

describe('the name of an event', () => {
  test.each([
    ['EVENTS/LNGS_1702593197_12.dat', { tag: 'LNGS', timestamp: 1702593197, serialNumber: 12 }],
    ['EVENTS/LIME_UG_2_1702593197_0.dat', { tag: 'LIME_UG_2', timestamp: 1702593197, serialNumber: 0 }],
    ['EVENTS/FLASH/2024_1_2.dat', { tag: 'FLASH/2024', timestamp: 1, serialNumber: 2 }],
  ])('the event name %s is parsed from the right', (key, event) => {
    expect(parseEventKey(key)).toEqual(event)
  })

  test.each([
    'EVENTS/',
    'EVENTS/LNGS_1_1.dat.part',
    'EVENTS/_1_1.dat',
    'EVENTS/LNGS_1.dat',
    'EVENTS/LNGS_1_-1.dat',
    'EVENTS/LNGS_1_4294967296.dat',
    'EVENTS/../LNGS_1_1.dat',
    'EVENTS/run00001.mid.gz',
    'TMP/LNGS_1_1.dat',
    'events/LNGS_1_1.dat',
    'XEVENTS/LNGS_1_1.dat',
    'EVENTS/LNGS_1_1.dat\n',
  ])('%j is not the name of an event', (key) => {
    expect(parseEventKey(key)).toBeNull()
  })

  test('the name of an event is parsed back for any tag and numbers', () => {
    const number = fc.nat(0xffffffff)
    const tag = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)
    fc.assert(
      fc.property(tag, number, number, (tag, timestamp, serialNumber) => {
        expect(parseEventKey(`EVENTS/${tag}_${timestamp}_${serialNumber}.dat`)).toEqual({
          tag,
          timestamp,
          serialNumber,
        })
      }),
    )
  })
})

describe('the buffer', () => {
  test('an empty buffer is no error', async () => {
    expect(await clean()).toMatchObject({ listed: 0, deleted: 0, failed: 0, finished: true })
  })

  test('unseen events are kept for an hour by the dates of the store, whatever their names state', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'old by its name')
    await context.put('EVENTS/LNGS_4000000000_2.dat', 'young by its name')
    expect(await clean({ now: after(3500) })).toMatchObject({ listed: 2, deleted: 0 })
    expect(await clean({ now: after(3700), dryRun: true })).toMatchObject({ deleted: 2 })
    expect(await keys()).toHaveLength(2)
    expect(await clean({ now: after(3700) })).toMatchObject({ deleted: 2 })
    expect(await keys()).toEqual([])
  })

  test('seen events are deleted at the configured time after they were seen', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'seen')
    await context.put('EVENTS/LNGS_1_2.dat', 'unseen')
    await see('EVENTS/LNGS_1_1.dat', after(-500))
    expect(await clean()).toMatchObject({ deleted: 0 })
    expect(await clean({ now: after(200) })).toMatchObject({ deleted: 1 })
    expect(await keys()).toEqual(['EVENTS/LNGS_1_2.dat'])
    expect(await seenRows()).toEqual([])
    await emptied()
  })

  test('an object with another ETag than the seen one is unseen', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'the first')
    await see('EVENTS/LNGS_1_1.dat', after(-5000))
    await context.put('EVENTS/LNGS_1_1.dat', 'another')
    expect(await clean({ now: after(700) })).toMatchObject({ deleted: 0 })
    const shown = after(0)
    await see('EVENTS/LNGS_1_1.dat', shown)
    expect((await seenRows()).map((row) => row.seenAt)).toEqual([shown])
    expect(await clean({ now: after(700) })).toMatchObject({ deleted: 1 })
  })

  test('the time counts from when an event was first seen, however often it is shown', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'shown again and again')
    const first = after(-900)
    await see('EVENTS/LNGS_1_1.dat', first)
    await see('EVENTS/LNGS_1_1.dat', after(0))
    expect((await seenRows())[0]?.seenAt).toEqual(first)
    expect(await clean()).toMatchObject({ deleted: 1 })
  })

  test('a tag with its own time does not change the time of other tags', async () => {
    for (const tag of ['LNGS', 'LNF', 'LNF_2']) await context.put(`EVENTS/${tag}_1_1.dat`, tag)
    const config = loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      ...context.store.environment,
      CYGNET_EVENTS_UNSEEN_SECONDS_BY_TAG: 'LNF=7200',
    })
    expect(await clean({ now: after(3700), tag: 'LNF' }, { ...context, config })).toMatchObject({
      deleted: 0,
    })
    expect(await clean({ now: after(7300), tag: 'LNF' }, { ...context, config })).toMatchObject({
      deleted: 1,
    })
    expect(await keys()).toEqual(['EVENTS/LNF_2_1_1.dat', 'EVENTS/LNGS_1_1.dat'])
    await emptied()
  })

  test('objects that are not events are counted and kept for ever', async () => {
    const strange = ['EVENTS/run00001.mid.gz', 'EVENTS/notes.txt', 'EVENTS/LNGS_1.dat']
    for (const key of [...strange, 'TMP/LNGS_1_1.dat', 'LNGS/run00001.mid.gz', 'EVENTSX/LNGS_1_1.dat'])
      await context.put(key, key)
    expect(await clean({ now: after(10_000_000) })).toMatchObject({ listed: 3, deleted: 0, unrecognised: 3 })
    expect(await keys('')).toHaveLength(6)
    for (const key of strange) await removeByHand(context, key)
  })

  test('a buffer of thousands is emptied page by page, and the notes on deleted events are removed', {
    tags: ['long'],
  }, async () => {
    const all = Array.from({ length: 2500 }, (_, index) => `EVENTS/LNGS_1702593197_${index}.dat`)
    await context.putAll(all, 'an event')
    for (const serial of [3, 1200, 2499, 5000, 9999])
      await see(`EVENTS/LNGS_1702593197_${serial}.dat`, after(-100), 'e')
    await context.put('EVENTS/LNGS_1702593197_30000.dat', 'stays')
    await see('EVENTS/LNGS_1702593197_30000.dat', after(3650))
    expect(await clean({ now: after(10) })).toMatchObject({ listed: 2501, deleted: 0 })
    expect((await seenRows()).map((row) => row.objectKey).toSorted()).toEqual(
      [3, 1200, 2499, 30_000].map((serial) => `EVENTS/LNGS_1702593197_${serial}.dat`).toSorted(),
    )
    expect(await clean({ now: after(3700) })).toMatchObject({
      listed: 2501,
      deleted: 2500,
      failed: 0,
      finished: true,
    })
    expect(await keys()).toEqual(['EVENTS/LNGS_1702593197_30000.dat'])
    expect((await seenRows()).map((row) => row.objectKey)).toEqual(['EVENTS/LNGS_1702593197_30000.dat'])
    await emptied()
  })
})

describe('errors in the buffer', () => {
  test('an event that is replaced between the listing and its deletion is kept', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'old')
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      act: async (send) => {
        await context.put('EVENTS/LNGS_1_1.dat', 'new')
        return await send()
      },
    })
    expect(await clean({ now: after(3700) }, other)).toMatchObject({ deleted: 0, changed: 1, failed: 0 })
    expect(await keys()).toEqual(['EVENTS/LNGS_1_1.dat'])
    await emptied()
  })

  test('an event that cannot be deleted does not block the others', async () => {
    for (let serial = 0; serial < 40; serial++) await context.put(`EVENTS/LNGS_1_${serial}.dat`, 'x')
    const denied = Object.assign(new Error('no'), {
      name: 'AccessDenied',
      $metadata: { httpStatusCode: 403 },
    })
    const other = withInterference(context, {
      at: 'DeleteObjectCommand',
      nth: 5,
      act: () => Promise.reject(denied),
    })
    expect(await clean({ now: after(3700) }, other)).toMatchObject({ deleted: 39, failed: 1 })
    await emptied()
  })

  test('a store that refuses every deletion is not asked for each event', async () => {
    for (let serial = 0; serial < 200; serial++) await context.put(`EVENTS/LNGS_1_${serial}.dat`, 'x')
    const denied = Object.assign(new Error('no'), {
      name: 'AccessDenied',
      $metadata: { httpStatusCode: 403 },
    })
    const other = withInterference(context, { at: 'DeleteObjectCommand', act: () => Promise.reject(denied) })
    await expect(clean({ now: after(3700) }, other)).rejects.toMatchObject({ name: 'AccessDenied' })
    expect(other.requests('DeleteObjectCommand')).toBeLessThan(100)
    await emptied()
  })

  test('a missing bucket does not prevent the cleaning of others, and is reported', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'x')
    const buckets = `no-such-bucket,${context.bucket}`
    const config = loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      ...context.store.environment,
      CYGNET_RAW_BUCKETS: buckets,
    })
    await expect(clean({ now: after(3700) }, { ...context, config })).rejects.toMatchObject({
      name: 'NoSuchBucket',
    })
    expect(await keys()).toEqual([])
  })

  test('an object that is not an event cannot be marked as seen', async () => {
    const object = { bucket: context.bucket, key: 'LNGS/run00001.mid.gz' }
    await expect(markEventSeen(context.database, object, 'e', new Date())).rejects.toMatchObject({
      name: 'InvalidInputError',
    })
  })

  test('a buffer that is protected by the configuration is not cleaned', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'x')
    const config = loadConfig({
      CYGNET_DATABASE_URL: context.catalogue.url,
      ...context.store.environment,
      CYGNET_PROTECTED_PREFIXES: '/EVENTS/*',
    })
    expect(await clean({ now: after(3700) }, { ...context, config })).toMatchObject({ listed: 0, deleted: 0 })
    expect(await keys()).toHaveLength(1)
    await emptied()
  })

  test('an aborted signal stops the cleaning, and the result states it', async () => {
    await context.put('EVENTS/LNGS_1_1.dat', 'x')
    const stopped = await cleanEvents(
      context,
      { dryRun: false, now: after(3700) },
      AbortSignal.abort(),
      context.log,
    )
    expect(stopped).toMatchObject({ deleted: 0, finished: false })
    await emptied()
  })
})
