import { describe, expect, test } from 'vitest'
import type {
  EndOfRemoval,
  LocalReport,
  RemoteCopies,
  RemotePermission,
  RemoteStore,
} from '../../../../cli/push/remote-store.ts'
import { createApiSafety } from '../../../../cli/watch/api-safety.ts'

const at = '2026-05-01T12:00:00.000Z'
const copies: RemoteCopies = {
  sha256: 'aa',
  sizeBytes: 10,
  cloud: { state: 'present', verifiedAt: at },
  tape: [{ endpoint: 'davs://tape', state: 'on-media', verifiedAt: at }],
  safe: true,
  why: 'two copies are verified',
}
const content = { bucket: 'b', key: 'LNGS/run00001.mid', sha256: 'aa', sizeBytes: 10 }
const file = { ...content, path: '/data/run00001.mid' }
const never = new AbortController().signal
const PERMITTED: RemotePermission = { allowed: true, why: 'verified just now', id: 7, validSeconds: 60 }

/** An API with these answers, a clock, and a disk with one file. */
function world(answer: RemotePermission | null, found: RemoteCopies | null = copies) {
  const time = { wallMs: 1_000_000, steadyMs: 0 }
  const state = {
    isThere: true,
    ended: [] as EndOfRemoval[],
    reported: [] as LocalReport[],
    whileAsked: () => {},
    endFails: false,
  }
  const remote: Pick<RemoteStore, 'copiesOf' | 'requestRemoval' | 'reportLocal' | 'endRemoval'> = {
    copiesOf: async () => found,
    async requestRemoval() {
      state.whileAsked()
      return answer
    },
    async reportLocal(report) {
      state.reported.push(report)
      return report.there
    },
    async endRemoval(end) {
      if (state.endFails) throw new Error('the API went away')
      state.ended.push(end)
    },
  }
  const clock = { wallMs: () => time.wallMs, steadyMs: () => time.steadyMs }
  const safety = createApiSafety(remote, clock, { host: 'daq', isThere: () => state.isThere })
  const remove = () => {
    state.isThere = false
  }
  return { time, state, safety, requestRemoval: () => safety.removeWhenSafe(file, remove, never) }
}
const END = { bucket: 'b', key: content.key, host: 'daq', id: 7 }

describe("the API's data of the copies of a file", () => {
  test('a file with exactly the catalogued contents and verified copies is safe', async () => {
    expect(await world(null).safety.safetyOf(content, never)).toEqual({ safe: true, reason: copies.why })
  })

  test.each([
    ['is not known', null],
    ['has other contents', { ...copies, sha256: 'bb' }],
    ['has another size', { ...copies, sizeBytes: 11 }],
    ['is not safe', { ...copies, safe: false }],
  ])('a file is not safe when it %s', async (_, found) => {
    expect((await world(null, found).safety.safetyOf(content, never)).safe).toBe(false)
  })

  test.each([
    ['the store', { ...copies, cloud: null }],
    ['the store, verified', { ...copies, cloud: { state: 'present', verifiedAt: null } }],
    ['tape', { ...copies, tape: [] }],
    ["the tape's medium", { ...copies, tape: [{ endpoint: '', state: 'staged', verifiedAt: at }] }],
  ])('the answer that a file is safe is refused without a copy in %s', async (_, found) => {
    await expect(world(null, found).safety.safetyOf(content, never)).rejects.toThrow(
      'without naming two verified copies',
    )
  })
})

test('a present file is reported with this machine and the time of its reading, a missing one without a time', async () => {
  const { safety, state } = world(null)
  expect(await safety.reportPresent(file, new Date(at), never)).toBe(true)
  expect(await safety.reportVanished(file, never)).toBe(false)
  expect(state.reported).toEqual([
    { ...file, host: 'daq', there: true, readAt: new Date(at) },
    { ...file, host: 'daq', there: false },
  ])
})

describe('a removal with a permission of the API', () => {
  test('a permitted file is removed, and the removal is reported', async () => {
    const { state, requestRemoval } = world(PERMITTED)
    expect(await requestRemoval()).toEqual({ safe: true, reason: 'verified just now' })
    expect(state).toMatchObject({ isThere: false, ended: [{ ...END, gone: true }] })
  })

  test('a file is kept when the API refuses, whatever the catalogued copies', async () => {
    const { state, requestRemoval } = world({ allowed: false, why: 'the copy on tape is not there' })
    expect(await requestRemoval()).toEqual({ safe: false, reason: 'the copy on tape is not there' })
    expect(state).toMatchObject({ isThere: true, ended: [] })
  })

  test('a file is kept when an earlier version of the API cannot verify the copies', async () => {
    const { state, requestRemoval } = world(null)
    expect(await requestRemoval()).toMatchObject({
      safe: false,
      reason: expect.stringContaining('update of the API'),
    })
    expect(state).toMatchObject({ isThere: true, ended: [] })
  })

  test.each([
    ['the answer took as long as it is valid', { steadyMs: 60_000, wallMs: 60_000 }, false],
    [
      'the machine slept meanwhile, and its steady clock with it',
      { steadyMs: 1000, wallMs: 3_600_000 },
      false,
    ],
    ['the clock on the wall was set back', { steadyMs: 61_000, wallMs: -3_600_000 }, false],
    ['the answer took almost as long', { steadyMs: 59_000, wallMs: 59_000 }, true],
  ])('a file is removed only within the time of the permission: %s', async (_, passed, goes) => {
    const { state, time, requestRemoval } = world(PERMITTED)
    state.whileAsked = () => {
      time.steadyMs += passed.steadyMs
      time.wallMs += passed.wallMs
    }
    expect((await requestRemoval()).safe).toBe(goes)
    expect(state).toMatchObject({ isThere: !goes, ended: [{ ...END, gone: goes }] })
  })

  test('a failure on the disk is reported: the file is still there, or another process removed it', async () => {
    for (const isThere of [true, false]) {
      const { state, safety } = world(PERMITTED)
      const remove = () => {
        state.isThere = isThere
        throw new Error('EACCES')
      }
      await expect(safety.removeWhenSafe(file, remove, never)).rejects.toThrow('EACCES')
      expect(state.ended).toEqual([{ ...END, gone: !isThere }])
    }
  })

  test('a file is removed also when the outcome cannot be reported, which is an error', async () => {
    const { state, requestRemoval } = world(PERMITTED)
    state.endFails = true
    await expect(requestRemoval()).rejects.toThrow('the API went away')
    expect(state.isThere).toBe(false)
  })
})
