import { describe, expect, test } from 'vitest'
import { claimReplica, endClaim } from '../../../../shared/catalogue/replica-work.ts'
import type { Context } from '../../../../shared/context.ts'
import {
  type LocalCopy,
  noteLocalCopy,
  noteVanishedCopy,
} from '../../../../shared/copies/delete/local-copies.ts'
import { endPermission, permitDeletion } from '../../../../shared/copies/delete/permit-deletion.ts'
import { InvalidInputError } from '../../../../shared/errors.ts'
import { runlogRow, TEST_LEASE_SECONDS } from '../../../support/catalogue.ts'
import { signal } from '../../../support/context.ts'
import { useLocalFiles } from '../../../support/copies/local-files.ts'
import { START } from '../../../support/copies/verified-runs.ts'

const files = useLocalFiles(400)
const { harm, local, put, tombstones } = files
const localStatus = async () =>
  (await runlogRow(files.runs.context.database, files.run))?.storage_local_status

const neverRemove = () => Promise.reject(new Error('must not be removed'))
/** The program on the DAQ's machine: it requests a permission, removes the file, and reports the outcome. */
async function forget(
  copy: LocalCopy,
  remove: () => Promise<void> = async () => {},
  context: Context<'database' | 'queues' | 's3' | 'tape'> = files.runs.context,
): Promise<{ readonly deleted: boolean; readonly why: string }> {
  const answer = await permitDeletion(context, copy, signal)
  if (answer.kind === 'refused') return { deleted: false, why: answer.why }
  const { host, bucket, key } = copy
  const end = (gone: boolean) => endPermission(context, { host, bucket, key, id: answer.id, gone })
  try {
    await remove()
  } catch (error) {
    await end(false)
    throw error
  }
  await end(true)
  return { deleted: true, why: answer.why }
}

async function noted(options: Parameters<typeof put>[0] = {}): Promise<LocalCopy> {
  const copy = await put(options)
  await noteLocalCopy(files.runs.context, copy)
  return copy
}

describe("the DAQ's own copy", () => {
  test('a file of the DAQ is one row with its place, however often it is seen, and shows in the Runlog', async () => {
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

  test('a file of contents that are not catalogued yet is recorded later; a path that is not absolute is refused', async () => {
    const copy = await put({ onTape: false })
    expect(await noteLocalCopy(files.runs.context, { ...copy, sha256: 'f'.repeat(64) })).toBeNull()
    await expect(noteLocalCopy(files.runs.context, { ...copy, path: 'data/run.mid' })).rejects.toThrow(
      InvalidInputError,
    )
    await expect(
      noteLocalCopy(files.runs.context, { ...copy, path: `/${'x'.repeat(5000)}` }),
    ).rejects.toThrow(InvalidInputError)
  })

  test('a file that something else removed is missing until it is seen again', async () => {
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

  test('a file that another process is working on is not recorded as missing', async () => {
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
  test('a removal writes its tombstone before, with the copy on tape that was verified for it', async () => {
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

  test('a file is not removed while no copy on tape was requested', async () => {
    const copy = await noted({ onTape: false })
    expect(await forget(copy, neverRemove)).toMatchObject({
      deleted: false,
      why: 'no copy on tape was requested yet',
    })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test.each([
    ['damageTape', 'no copy on tape is verified now', 'suspicious', 'present'],
    ['removeTape', 'it is missing', 'missing', 'present'],
    ['removeObject', 'it is missing', 'on-media', 'missing'],
    ['replaceObject', 'another object than the one that was catalogued', 'on-media', 'suspicious'],
  ] as const)(
    'a file is not removed after %s, whatever the catalogue states, and the bad copy is recorded',
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

  test('a file is not removed without a tape endpoint, from a disk buffer, or while the tape does not answer', async () => {
    const copy = await noted()
    expect(await forget(copy, neverRemove, { ...files.runs.context, tape: null })).toMatchObject({
      deleted: false,
      why: expect.stringContaining('no tape endpoint is configured here'),
    })
    files.runs.tape.fault = 'down'
    await expect(forget(copy, neverRemove)).rejects.toThrow('does not answer')
    files.runs.tape.fault = null
    files.runs.tape.onMedia = false
    for (const why of ['disk buffer only', "verified on the endpoint's disk buffer, not yet on the medium"])
      expect(await forget(copy, neverRemove)).toMatchObject({
        deleted: false,
        why: expect.stringContaining(why),
      })
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
    expect(await tombstones()).toEqual([])
  })

  test('a file is removed when any copy on tape is good, although another is at a former endpoint', async () => {
    const copy = await noted()
    await files.addFormerEndpoint()
    expect(await forget(copy)).toMatchObject({ deleted: true })
    expect(await tombstones()).toMatchObject([{ survivorUrl: expect.stringContaining('file://') }])
  })

  test('a file is not removed when another copy is deleted at the same time, which is found under the lock', async () => {
    const copy = await noted()
    // The cleaner deletes between the first decision and the second.
    const { tape } = files.runs.context
    const cleaned: typeof tape = {
      ...tape,
      async check(...about) {
        const { id } = await files.runs.replica(files.key, 'cloud')
        const claim = await claimReplica(files.runs.context.database, id, ['present'], {
          owner: 'the cleaner',
          leaseSeconds: TEST_LEASE_SECONDS,
        })
        if (claim !== null)
          await endClaim(files.runs.context.database, claim, { change: { state: 'deleting' } }, new Date())
        return await tape.check(...about)
      },
    }
    expect(await forget(copy, neverRemove, { ...files.runs.context, tape: cleaned })).toMatchObject({
      deleted: false,
      why: expect.stringContaining('the local file is the second copy'),
    })
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test('a removal that fails leaves the copy present and its tombstone withdrawn', async () => {
    const copy = await noted()
    await expect(forget(copy, () => Promise.reject(new Error('EACCES')))).rejects.toThrow('EACCES')
    expect(await local()).toMatchObject({
      state: 'present',
      lastError: 'the file is still there',
      leaseOwner: null,
    })
    expect(await tombstones()).toMatchObject([{ state: 'withdrawn' }])
    expect(await localStatus()).toBe(1)
  })
})
