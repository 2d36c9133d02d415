import { describe, expect, test } from 'vitest'
import { claimReplica, endClaim } from '../../../../shared/catalogue/replica-work.ts'
import type { TapeContext } from '../../../../shared/context.ts'
import {
  endInterruptedForgetting,
  forgetLocalCopy,
} from '../../../../shared/copies/delete/forget-local-copy.ts'
import {
  type LocalCopy,
  noteLocalCopy,
  noteVanishedCopy,
} from '../../../../shared/copies/delete/local-copies.ts'
import { ConflictError, InvalidInputError } from '../../../../shared/errors.ts'
import { runlogRow, TEST_LEASE_SECONDS } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { useLocalFiles } from '../../../support/copies/local-files.ts'
import { START } from '../../../support/copies/verified-runs.ts'
import { until } from '../../../support/waiting.ts'

const files = useLocalFiles(400)
const { harm, local, put, tombstones } = files
const localStatus = async () =>
  (await runlogRow(files.runs.context.database, files.run))?.storage_local_status

const neverRemove = () => Promise.reject(new Error('must not be removed'))
const forget = (
  copy: LocalCopy,
  remove: () => Promise<void> = async () => {},
  context: TapeContext = files.runs.context,
) => forgetLocalCopy(context, copy, remove, signal)

async function noted(options: Parameters<typeof put>[0] = {}): Promise<LocalCopy> {
  const copy = await put(options)
  await noteLocalCopy(files.runs.context, copy)
  return copy
}

describe("the DAQ's own copy", () => {
  test('is a row with its place, as often as it is seen, and shows in the Runlog', async () => {
    const copy = await put({ onTape: false })
    expect(await localStatus()).toBe(0)
    const id = await noteLocalCopy(files.runs.context, copy)
    files.runs.time += 1000
    expect(await noteLocalCopy(files.runs.context, { ...copy, path: '/data2/moved.mid.gz' })).toBe(id)
    expect(await local()).toMatchObject({
      state: 'present',
      endpoint: 'daq-1',
      url: 'file://daq-1/data2/moved.mid.gz',
      name: '/data2/moved.mid.gz',
      verifiedAt: new Date(files.runs.time),
    })
    expect(await localStatus()).toBe(1)
  })

  test('of contents that are not catalogued yet is noted later; a path that is none is refused', async () => {
    const copy = await put({ onTape: false })
    expect(await noteLocalCopy(files.runs.context, { ...copy, sha256: 'f'.repeat(64) })).toBeNull()
    await expect(noteLocalCopy(files.runs.context, { ...copy, path: 'data/run.mid' })).rejects.toThrow(
      InvalidInputError,
    )
    await expect(
      noteLocalCopy(files.runs.context, { ...copy, path: `/${'x'.repeat(5000)}` }),
    ).rejects.toThrow(InvalidInputError)
  })

  test('that somebody else removed is missing from then on, until it is seen again', async () => {
    const copy = await noted()
    expect(await noteVanishedCopy(files.runs.context, { ...copy, path: '/data/other.mid.gz' })).toBe(true)
    expect(await local()).toMatchObject({ state: 'present' })
    expect(await noteVanishedCopy(files.runs.context, copy)).toBe(true)
    expect(await local()).toMatchObject({
      state: 'missing',
      lastError: expect.stringContaining('did not find it'),
      leaseOwner: null,
    })
    expect(await localStatus()).toBe(0)
    expect(await files.runs.history(files.key)).toContain('local file gone')
    await noteLocalCopy(files.runs.context, copy)
    expect(await local()).toMatchObject({ state: 'present', lastError: null })
    expect(await localStatus()).toBe(1)
  })

  test('at which another process is just now is not called missing', async () => {
    const copy = await noted()
    await claimReplica(files.runs.context.database, (await local()).id, ['present'], {
      owner: 'another',
      leaseSeconds: TEST_LEASE_SECONDS,
    })
    expect(await noteVanishedCopy(files.runs.context, copy)).toBe(false)
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: 'another' })
  })
})

describe('a removal', () => {
  test('has a tombstone written before, which names the copy on tape that was verified for it', async () => {
    const copy = await noted()
    files.runs.time += 60_000
    const seen: unknown[] = []
    const remove = async () => {
      seen.push(
        (await tombstones()).map(({ state }) => state),
        (await local()).state,
      )
    }
    expect(await forget(copy, remove)).toEqual({
      deleted: true,
      why: expect.stringContaining('was verified just now: sha256 read back'),
    })
    expect(seen).toEqual([['intended'], 'deleting'])
    const tape = await files.runs.replica(files.key, 'tape')
    expect(await tombstones()).toMatchObject([
      {
        state: 'deleted',
        url: (await local()).url,
        sha256: copy.sha256,
        survivorId: tape.id,
        survivorUrl: tape.url,
        survivorVerifiedBy: 'sha256 read back',
        survivorVerifiedAt: new Date(START + 60_000),
        endedAt: new Date(START + 60_000),
      },
    ])
    expect(await local()).toMatchObject({
      state: 'deleted',
      deletedAt: new Date(START + 60_000),
      leaseOwner: null,
    })
    expect(await localStatus()).toBe(0)
    expect(await files.runs.history(files.key)).toContain('local file deleted')
  })

  test('is not done while the file was not compared, or lies elsewhere', async () => {
    const copy = await noted({ onTape: false })
    expect(await forget(copy, neverRemove)).toMatchObject({
      deleted: false,
      why: 'no copy on tape was asked for yet',
    })
    await files.runs.put(files.key)
    for (const other of [
      { ...copy, host: 'daq-2' },
      { ...copy, path: '/data/other.mid.gz' },
    ])
      expect(await forget(other, neverRemove)).toMatchObject({
        deleted: false,
        why: expect.stringContaining('not told of this file'),
      })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test.each([
    ['damageTape', 'no copy on tape is verified now', 'suspicious', 'present'],
    ['removeTape', 'it is not there', 'missing', 'present'],
    ['removeObject', 'it is not there', 'on-media', 'missing'],
    ['replaceObject', 'another object than the one that was catalogued', 'on-media', 'present'],
  ] as const)(
    'is not done after %s, whatever the catalogue believes, and what is bad is written down',
    async (how, why, tape, cloud) => {
      const copy = await noted()
      await harm[how](copy)
      expect(await forget(copy, neverRemove)).toEqual({ deleted: false, why: expect.stringContaining(why) })
      expect(await tombstones()).toEqual([])
      expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
      expect([
        (await files.runs.replica(files.key, 'tape')).state,
        (await files.runs.replica(files.key, 'cloud')).state,
      ]).toEqual([tape, cloud])
    },
  )

  test('is not done where no tape endpoint is configured, nor from a disk buffer, nor while the tape does not answer', async () => {
    const copy = await noted()
    expect(await forget(copy, neverRemove, { ...files.runs.context, tape: null })).toMatchObject({
      deleted: false,
      why: expect.stringContaining('no tape endpoint is configured here'),
    })
    files.runs.tape.onMedia = false
    expect(await forget(copy, neverRemove)).toMatchObject({
      deleted: false,
      why: expect.stringContaining('disk buffer only'),
    })
    files.runs.tape.fault = 'down'
    await expect(forget(copy, neverRemove)).rejects.toThrow('does not answer')
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
    expect(await tombstones()).toEqual([])
  })

  test('is done on account of any good copy on tape: that at a former endpoint is not in its way', async () => {
    const copy = await noted()
    await files.addFormerEndpoint()
    expect(await forget(copy)).toMatchObject({ deleted: true })
    expect(await tombstones()).toMatchObject([{ survivorUrl: expect.stringContaining('file://') }])
  })

  test('is not done when another copy goes at the same time, found under the lock', async () => {
    const copy = await noted()
    // The cleaner gets in between the first judgement and the second.
    const { tape } = files.runs.context
    const cleaned: typeof tape = {
      ...tape,
      async look(...about) {
        const { id } = await files.runs.replica(files.key, 'cloud')
        const claim = await claimReplica(files.runs.context.database, id, ['present'], {
          owner: 'the cleaner',
          leaseSeconds: TEST_LEASE_SECONDS,
        })
        if (claim !== null)
          await endClaim(files.runs.context.database, claim, { change: { state: 'deleting' } }, new Date())
        return await tape.look(...about)
      },
    }
    expect(await forget(copy, neverRemove, { ...files.runs.context, tape: cleaned })).toMatchObject({
      deleted: false,
      why: expect.stringContaining('the local file is the second copy'),
    })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test('that fails leaves the copy present, and its tombstone withdrawn', async () => {
    const copy = await noted()
    await expect(forget(copy, () => Promise.reject(new Error('EACCES')))).rejects.toThrow('EACCES')
    expect(await local()).toMatchObject({
      state: 'present',
      lastError: 'the file could not be removed',
      leaseOwner: null,
    })
    expect(await tombstones()).toMatchObject([{ state: 'withdrawn' }])
    expect(await localStatus()).toBe(1)
  })

  test('that two processes are at is done by one', async () => {
    const copy = await noted()
    let removals = 0
    const remove = async () => {
      removals += 1
    }
    const results = await Promise.allSettled([1, 2, 3].map(() => forget(copy, remove)))
    expect(removals).toBe(1)
    const others = results.filter((result) => result.status === 'rejected' || !result.value.deleted)
    expect(others).toHaveLength(2)
    for (const result of others)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConflictError)
  })

  test.each([
    [true, 'present', 'withdrawn'],
    [false, 'deleted', 'deleted'],
  ] as const)(
    'that was interrupted is put right by the disk, once the disk can tell (still there: %s)',
    async (there, state, tombstone) => {
      const copy = await noted()
      forget(copy, () => new Promise<void>(() => {})).catch(() => {})
      await until(async () => (await local()).state === 'deleting')
      const settle = (answer: boolean | null) =>
        endInterruptedForgetting(files.runs.context, 'daq-1', async (path) =>
          path === copy.path ? answer : false,
        )
      expect(await settle(there)).toBe(0) // the lease of the process that died
      expect(await noteLocalCopy(files.runs.context, copy)).toBe((await local()).id)
      expect((await local()).state).toBe('deleting')
      await files.endLeases()
      expect(await settle(null)).toBe(0)
      expect(await local()).toMatchObject({ state: 'deleting', leaseOwner: null })
      expect(await settle(there)).toBe(1)
      expect(await local()).toMatchObject({ state, leaseOwner: null })
      expect(await tombstones()).toMatchObject([{ state: tombstone, endedAt: expect.any(Date) }])
      expect(await settle(there)).toBe(0)
    },
  )
})
