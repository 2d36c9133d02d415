import { describe, expect, test } from 'vitest'
import type { Context } from '../../../../shared/context.ts'
import { type LocalCopy, noteLocalCopy } from '../../../../shared/copies/delete/local-copies.ts'
import {
  endPermission,
  endUnreportedPermissions,
  permitDeletion,
} from '../../../../shared/copies/delete/permit-deletion.ts'
import { TransientError } from '../../../../shared/errors.ts'
import type { TapeDriver } from '../../../../shared/tape/driver.ts'
import { beginCall } from '../../../never-lost/call.ts'
import { databaseOf } from '../../../never-lost/database.ts'
import { signal } from '../../../support/context.ts'
import { useLocalFiles } from '../../../support/copies/local-files.ts'

const files = useLocalFiles(500)
const { harm, local, put, tombstones } = files

const ask = (copy: LocalCopy, context: Context<'database' | 'queues' | 's3' | 'tape'> = files.runs.context) =>
  permitDeletion(context, copy, signal)
async function permitted(copy: LocalCopy): Promise<number> {
  const answer = await ask(copy)
  if (answer.kind !== 'permitted') throw new Error(answer.why)
  return answer.id
}
const report = ({ host, bucket, key }: LocalCopy, id: number, gone: boolean) =>
  endPermission(files.runs.context, { host, bucket, key, id, gone })

/** A tape that does something before each check. */
function whileLooking(work: () => Promise<void>): Context<'database' | 'queues' | 's3' | 'tape'> {
  const { context } = files.runs
  const tape: TapeDriver = Object.assign(Object.create(context.tape), {
    async check(...about: Parameters<TapeDriver['check']>) {
      await work()
      return await context.tape.check(...about)
    },
  })
  return { ...context, tape }
}

describe('a permission to remove a file', () => {
  test('a permission is a tombstone that names the copy on tape verified for it, and ends as the machine reports', async () => {
    const copy = await put()
    for (const [gone, state, end] of [
      [false, 'present', 'withdrawn'],
      [true, 'deleted', 'deleted'],
    ] as const) {
      const answer = await ask(copy)
      const open = (await tombstones()).at(-1)
      expect(answer).toEqual({
        kind: 'permitted',
        id: open?.id,
        why: expect.stringContaining('verified just now'),
        validSeconds: 60,
      })
      expect(open).toMatchObject({
        state: 'intended',
        survivorUrl: (await files.runs.replica(files.key, 'tape')).url,
      })
      expect(await local()).toMatchObject({ state: 'deleting' })
      expect(await report(copy, open?.id ?? 0, gone)).toBe(end)
      expect(await local()).toMatchObject({ state, leaseOwner: null })
      expect((await tombstones()).at(-1)).toMatchObject({ state: end })
      await files.runs.context.database.deleteFrom('tombstones').execute()
    }
    expect(await files.runs.history(files.key)).toEqual(
      expect.arrayContaining(['deletion withdrawn', 'local file deleted']),
    )
  })

  test.each([
    ['damageTape', 'no copy on tape is verified now'],
    ['removeTape', 'it is missing'],
    ['removeObject', 'it is missing'],
    ['replaceObject', 'another object than the one that was catalogued'],
  ] as const)('a permission is not given after %s, and an earlier one is withdrawn', async (how, why) => {
    const copy = await put()
    const id = await permitted(copy)
    await harm[how](copy)
    expect(await ask(copy)).toEqual({ kind: 'refused', why: expect.stringContaining(why) })
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
    expect(await tombstones()).toMatchObject([{ id, state: 'withdrawn' }])
    expect((await ask(copy)).kind).toBe('refused')
  })

  test('a permission is not given when the tape cannot be reached, nor for contents that are not catalogued', async () => {
    const copy = await put()
    expect(await ask(copy, { ...files.runs.context, tape: null as never })).toMatchObject({
      kind: 'refused',
      why: expect.stringContaining('no tape endpoint is configured here'),
    })
    expect(await ask({ ...copy, sha256: 'f'.repeat(64) })).toMatchObject({
      kind: 'refused',
      why: expect.stringContaining('not catalogued'),
    })
    expect(await tombstones()).toEqual([])
  })

  test('a permission is not given when the object was removed while the tape was read', async () => {
    const copy = await put()
    const context = whileLooking(async () => harm.removeObject(copy))
    expect(await ask(copy, context)).toEqual({
      kind: 'refused',
      why: expect.stringContaining('it is missing'),
    })
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
    expect(await tombstones()).toEqual([])
  })

  test('a permission is given to one request at a time: the next waits for the answer or the end of the lease', async () => {
    const copy = await put()
    const id = await permitted(copy)
    const hung = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const slow = whileLooking(async () => {
      reached.resolve()
      await hung.promise
      throw new TransientError('the endpoint did not answer')
    })
    const earlier = ask(copy, slow)
    await reached.promise
    expect(await ask(copy)).toEqual({
      kind: 'refused',
      why: 'another process is working on this file now',
    })
    await files.endLeases()
    expect(await permitted(copy)).toBe(id)
    hung.resolve()
    await expect(earlier).rejects.toThrow()
    expect(await local()).toMatchObject({ state: 'deleting' })
    expect(await report(copy, id, true)).toBe('deleted')
  })

  test('a permission that was withdrawn after the file was removed leaves no copy in the catalogue', async () => {
    const copy = await put()
    const id = await permitted(copy)
    await harm.removeTape(copy)
    expect((await ask(copy)).kind).toBe('refused')
    expect(await report(copy, id, true)).toBe('withdrawn')
    expect(await local()).toMatchObject({ state: 'missing' })
  })

  test('a permission whose outcome is not reported ends after a day: the file is missing until it is read again', async () => {
    const copy = await put()
    await permitted(copy)
    await files.endLeases()
    files.runs.time += 23 * 3_600_000
    expect(await endUnreportedPermissions(files.runs.context)).toBe(0)
    files.runs.time += 2 * 3_600_000
    expect(await endUnreportedPermissions(files.runs.context)).toBe(1)
    expect(await local()).toMatchObject({
      state: 'missing',
      leaseOwner: null,
      lastError: expect.stringContaining('was not reported'),
    })
    expect(await tombstones()).toMatchObject([{ state: 'withdrawn' }])
    expect(await permitted(copy)).toBeGreaterThan(0)
  })

  test('a permission of a file that has moved since does not block the file', async () => {
    const copy = await put()
    await permitted(copy)
    const moved = { ...copy, path: '/data2/moved.mid.gz' }
    expect((await ask(moved)).kind).toBe('refused')
    await files.endLeases()
    expect(await permitted(moved)).toBeGreaterThan(0)
    expect((await tombstones()).map(({ state }) => state)).toEqual(['withdrawn', 'intended'])
  })

  test('a permission is not given after the time limit, and nothing is written', async () => {
    const copy = await put()
    const { tape } = files.runs.context
    const stop = new AbortController()
    const slow = {
      ...tape,
      async check(...about: Parameters<typeof tape.check>) {
        stop.abort(new Error('25 seconds are over'))
        return await tape.check(about[0], about[1], signal)
      },
    }
    await expect(permitDeletion({ ...files.runs.context, tape: slow }, copy, stop.signal)).rejects.toThrow(
      '25 seconds are over',
    )
    expect(await tombstones()).toEqual([])
    expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
  })

  test('a permission requested again has the same id and new evidence', async () => {
    const copy = await put()
    const id = await permitted(copy)
    files.runs.time += 30_000
    expect(await permitted(copy)).toBe(id)
    await files.endLeases()
    expect(await permitted(copy)).toBe(id)
    expect(await tombstones()).toMatchObject([
      { id, state: 'intended', survivorVerifiedAt: new Date(files.runs.time) },
    ])
    expect(await report(copy, id, true)).toBe('deleted')
  })

  test('a permission ends once: a later report changes nothing', async () => {
    const copy = await put()
    const id = await permitted(copy)
    expect(await report(copy, id, true)).toBe('deleted')
    expect(await report(copy, id, true)).toBe('deleted')
    expect(await report(copy, id, false)).toBe('deleted')
    expect(await local()).toMatchObject({ state: 'deleted' })
    expect(
      (await files.runs.history(files.key)).filter((what) => what === 'local file deleted'),
    ).toHaveLength(1)
  })

  test('a permission holds only for the machine and the object that it was given for', async () => {
    const copy = await put()
    const id = await permitted(copy)
    for (const other of [
      { ...copy, host: 'daq-2' },
      { ...copy, key: 'LNF/run00001.mid.gz' },
      { ...copy, bucket: 'others' },
    ])
      expect(await report(other, id, true)).toBeNull()
    expect(await report(copy, id + 1000, true)).toBeNull()
    expect(await tombstones()).toMatchObject([{ state: 'intended' }])
    // The tombstone of a deletion from the store is not accepted either.
    await files.runs.context.database
      .updateTable('replicas')
      .set({ kind: 'cloud' })
      .where('kind', '=', 'local')
      .execute()
    expect(await report(copy, id, true)).toBeNull()
  })

  test('a permission in force is not ended by the clean-up after crashes, and can be ended by a machine that was away for long', async () => {
    const copy = await put()
    const id = await permitted(copy)
    expect(await endUnreportedPermissions(files.runs.context)).toBe(0)
    expect(await noteLocalCopy(files.runs.context, copy)).not.toBeNull()
    expect(await local()).toMatchObject({ state: 'deleting' })
    await files.endLeases()
    expect(await report(copy, id, true)).toBe('deleted')
  })

  test('a permission requested twice at the same time is one permission', async () => {
    const copy = await put()
    const answers = await Promise.all([ask(copy), ask(copy), ask(copy)])
    const ids = new Set(answers.flatMap((answer) => (answer.kind === 'permitted' ? [answer.id] : [])))
    expect(ids.size).toBe(1)
    expect(await tombstones()).toHaveLength(1)
  })
})

/** A process that dies at one of its statements. */
function dyingAt(at: number) {
  const accident = { kind: 'dies', place: 'database', at, done: at % 2 === 0 } as const
  let died = false
  const onAccident = () => {
    died = true
  }
  const call = beginCall({ name: 'the API', begunAt: files.runs.time, accident, pace: [], onAccident })
  const database = databaseOf(files.runs.context.database, () => Date.now(), call)
  return { context: { ...files.runs.context, database, owner: 'one that dies' }, died: () => died }
}

describe('an API that dies', () => {
  test('an API that dies at any point of a decision leaves a state that the next request continues from', async () => {
    const copy = await put()
    for (let at = 0; ; at++) {
      const dying = dyingAt(at)
      await ask(copy, dying.context).catch(() => {})
      const first = await ask(copy)
      // The process that died holds the row until its lease is over.
      if (first.kind === 'refused') expect(first.why).toMatch(/another process is working/)
      await files.endLeases()
      const id = await permitted(copy)
      expect(await tombstones()).toMatchObject([{ id, state: 'intended' }])
      expect(await report(copy, id, false)).toBe('withdrawn')
      expect(await local()).toMatchObject({ state: 'present', leaseOwner: null })
      await files.runs.context.database.deleteFrom('tombstones').execute()
      if (!dying.died()) return expect(at).toBeGreaterThan(15)
    }
  })

  test('an API that dies at any point of recording an outcome accepts the report again', async () => {
    const copy = await put()
    for (let at = 0; ; at++) {
      const id = await permitted(copy)
      const dying = dyingAt(at)
      const { host, bucket, key } = copy
      await endPermission(dying.context, { host, bucket, key, id, gone: true }).catch(() => {})
      expect(await report(copy, id, true)).toBe('deleted')
      expect(await local()).toMatchObject({ state: 'deleted', leaseOwner: null })
      expect((await tombstones()).at(-1)).toMatchObject({ id, state: 'deleted' })
      if (!dying.died()) return expect(at).toBeGreaterThan(8)
      await files.runs.context.database.deleteFrom('tombstones').execute()
    }
  })
})
