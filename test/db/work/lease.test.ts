/**
 * Leases on any table whose rows are work: one holder at a time, and a holder that lost its lease notices.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { recordArrivals } from '../../../shared/catalogue/arrivals.ts'
import { ConflictError } from '../../../shared/errors.ts'
import {
  isFree,
  type Lease,
  leaseFor,
  leaseOwner,
  NO_LEASE,
  renew,
  shortenLeases,
  whileHeld,
} from '../../../shared/work/lease.ts'
import { startTestCatalogue, TEST_LEASE_SECONDS, type TestCatalogue } from '../../support/catalogue.ts'
import { arrivalOf } from '../../support/context.ts'

let catalogue: TestCatalogue
let id: number
beforeAll(async () => {
  catalogue = await startTestCatalogue()
})
beforeEach(async () => {
  await catalogue.database.deleteFrom('arrivals').execute()
  await recordArrivals(catalogue.database, [arrivalOf('bucket', 'LNGS/run00001.mid.gz', 'e')], new Date())
  id = (await catalogue.database.selectFrom('arrivals').select('id').executeTakeFirstOrThrow()).id
})
afterAll(() => catalogue.close())

const process = { owner: 'extract-metadata-1' }
const never = new AbortController().signal

async function claim(owner = leaseOwner(process), seconds = TEST_LEASE_SECONDS): Promise<Lease | null> {
  const { numUpdatedRows } = await catalogue.database
    .updateTable('arrivals')
    .set(leaseFor(owner, seconds))
    .where('id', '=', id)
    .where(isFree())
    .executeTakeFirst()
  return numUpdatedRows === 1n ? { table: 'arrivals', id, owner } : null
}
/** Makes the lease expire, as after the death of its holder. */
const runOut = () =>
  catalogue.database
    .updateTable('arrivals')
    .set({ leaseUntil: new Date('2020-01-01') })
    .where('id', '=', id)
    .execute()
const held = async () =>
  await catalogue.database
    .selectFrom('arrivals')
    .select(['leaseOwner', 'leaseUntil'])
    .executeTakeFirstOrThrow()

describe('a lease', () => {
  test('is claimed by one of many concurrent callers', async () => {
    const claims = await Promise.all(Array.from({ length: 12 }, () => claim()))
    expect(claims.filter((each) => each !== null)).toHaveLength(1)
  })

  test('is free again when it was released, and when its holder has died', async () => {
    await claim()
    expect(await claim()).toBeNull()
    await catalogue.database.updateTable('arrivals').set(NO_LEASE).where('id', '=', id).execute()
    expect(await claim()).not.toBeNull()
    await runOut()
    expect(await claim()).not.toBeNull()
  })

  test('has a unique owner for each claim of one process', () => {
    expect(leaseOwner(process)).not.toBe(leaseOwner(process))
    expect(leaseOwner({ owner: 'x'.repeat(300) }).length).toBeLessThanOrEqual(100)
  })

  test('lasts longer when it is renewed, also when it had expired and was not claimed', async () => {
    const lease = (await claim()) as Lease
    await runOut()
    await renew(catalogue.database, lease, TEST_LEASE_SECONDS)
    expect((await held()).leaseUntil?.getTime()).toBeGreaterThan(Date.now())
    expect(await claim()).toBeNull()
  })

  test('that ends later than any can is shortened, and remains that of its holder', async () => {
    const lease = await claim()
    if (lease === null) throw new Error('it is free')
    const until = (seconds: number) =>
      sql`UPDATE arrivals SET state = 'processing',
        lease_until = UTC_TIMESTAMP(3) + INTERVAL ${seconds} SECOND`.execute(catalogue.database)
    await until(3000)
    expect(await shortenLeases(catalogue.database, 3600)).toBe(0)
    await until(2 * 86_400)
    expect(await shortenLeases(catalogue.database, 3600)).toBe(1)
    const { leaseUntil } = await held()
    expect(leaseUntil?.getTime()).toBeLessThanOrEqual(Date.now() + 3_660_000)
    expect(await claim()).toBeNull()
    await renew(catalogue.database, lease, 60)
    expect((await held()).leaseOwner).toBe(lease.owner)
  })

  test('that another process has claimed is not renewed', async () => {
    const lease = (await claim()) as Lease
    await runOut()
    const other = (await claim()) as Lease
    await expect(renew(catalogue.database, lease, TEST_LEASE_SECONDS)).rejects.toBeInstanceOf(ConflictError)
    expect((await held()).leaseOwner).toBe(other.owner)
  })
})

describe('work under a lease', () => {
  test('is aborted when the lease is lost', async () => {
    const lease = (await claim()) as Lease
    const noticed = whileHeld(catalogue.database, lease, 1, never, async (signal) => {
      await catalogue.database.updateTable('arrivals').set({ leaseOwner: 'another' }).execute()
      await sleep(3_600_000, undefined, { signal }).catch(() => {})
      return signal.reason
    })
    expect(await noticed).toBeInstanceOf(ConflictError)
  })

  test('keeps its lease for as long as it takes', async () => {
    const lease = (await claim(undefined, 1)) as Lease
    await whileHeld(catalogue.database, lease, 2, never, async () => {
      const before = await held()
      while ((await held()).leaseUntil?.getTime() === before.leaseUntil?.getTime()) await sleep(20)
    })
    expect((await held()).leaseOwner).toBe(lease.owner)
  })

  test('is stopped from outside, and returns its own result', async () => {
    const stop = new AbortController()
    const lease = (await claim()) as Lease
    const result = await whileHeld(
      catalogue.database,
      lease,
      TEST_LEASE_SECONDS,
      stop.signal,
      async (signal) => {
        stop.abort(new Error('enough'))
        return signal.reason.message
      },
    )
    expect(result).toBe('enough')
  })
})
