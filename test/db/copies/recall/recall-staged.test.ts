/**
 * The file that the tape endpoint has staged for a recall is kept while it is needed, and released when the
 * recall is over.
 */
import { sql, type UpdateObject } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { requestRecall } from '../../../../shared/copies/recall/request.ts'
import type { Schema } from '../../../../shared/database/schema.ts'
import { TransientError } from '../../../../shared/errors.ts'
import { listUploads } from '../../../../shared/storage/multipart.ts'
import { drainRaised } from '../../../support/alerts.ts'
import { signal } from '../../../support/context.ts'
import type { RecallTape } from '../../../support/recall-tape.ts'
import {
  bytesInStore,
  deleteFromStore,
  makeRun,
  onlyOnTape,
  putOnTape,
  replicaOf,
  setState,
  type TestRun,
} from '../../../support/recalled-runs.ts'
import { advanceRecall, freshRecalls, shownRecall, taskOfRecall } from '../../../support/recalls.ts'
import { recordingLog } from '../../../support/runtime/recording-log.ts'
import { startTestTapeContext, type TestTapeContext } from '../../../support/tape-context.ts'

const HOUR = 3_600_000
const MULTIPART_BYTES = 18 * 1024 * 1024

let context: TestTapeContext
let tape: RecallTape
let clockMs: number
let nextRun = 100
let number: number
let here: TestTapeContext

beforeAll(async () => {
  context = await startTestTapeContext()
})
afterAll(() => context.close())
beforeEach(async () => {
  number = nextRun++
  clockMs = Date.now()
  ;({ tape, here } = await freshRecalls(context, () => clockMs))
})

const ask = async (tag = 'LNGS'): Promise<number> => {
  const { files } = await requestRecall(
    here,
    { runNumber: number, tag },
    { days: 7, requestedBy: 'a shifter' },
    here.now(),
    signal,
  )
  return files[0]?.replicaId ?? 0
}
const advance = (id: number, until = signal) => advanceRecall(here, id, until, here.log)
const row = (id: number) => shownRecall(context.database, id)
const setTask = (id: number, change: UpdateObject<Schema, 'tasks'>) =>
  context.database.updateTable('tasks').set(change).where('subjectId', '=', id).execute()
/** The state that a killed function leaves: an expired lease. */
const dieAt = async (id: number, stage: string) => {
  await context.database.updateTable('recalls').set({ state: 'planned' }).where('id', '=', id).execute()
  await setTask(id, {
    state: 'running',
    reference: JSON.stringify({ stage }),
    leaseOwner: 'dead',
    leaseUntil: sql<Date>`UTC_TIMESTAMP(3) - INTERVAL 1 SECOND`,
  })
}
const next = async (id: number) => {
  clockMs = (await row(id)).nextAttemptAt?.getTime() ?? clockMs
  return await advance(id)
}
const nameOf = (run: TestRun) => `${context.bucket}/${run.key}`

describe('a staged file', () => {
  test.each([
    ['streamed, small', false, 3000],
    ['streamed, in parts', false, MULTIPART_BYTES],
    ['sent by the endpoint itself', true, 3000],
  ])('is released once the run is back, and not before: %s', async (_, sends, sizeBytes) => {
    const run = await onlyOnTape(here, tape, number, sizeBytes)
    tape.sends = sends
    tape.checksUntilOnline = 1
    tape.meanwhile = async () => expect(tape.released).toEqual([])
    const id = await ask()
    expect(await advance(id)).toBe('staging')
    expect(tape.released).toEqual([])
    expect(await next(id)).toBe('present')
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
    await advance(id)
    expect(tape.released).toHaveLength(1)
  })

  test('is kept after a failed attempt, and the next attempt continues the same stage request', async () => {
    const run = await onlyOnTape(here, tape, number, MULTIPART_BYTES)
    const id = await ask()
    tape.meanwhile = () => Promise.reject(new TransientError('the line broke'))
    expect(await advance(id)).toBe('failed')
    expect(tape.released).toEqual([])
    tape.meanwhile = async () => {}
    expect(await next(id)).toBe('present')
    expect(tape.calls.filter((what) => what.startsWith('stage'))).toEqual(['stage anew', 'stage request-1'])
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
    expect(await listUploads(context.s3, { bucket: context.bucket, key: run.key }, signal)).toEqual([])
  })

  test('is kept when the function is stopped, also if the run is requested again meanwhile', async () => {
    const run = await onlyOnTape(here, tape, number, MULTIPART_BYTES)
    const id = await ask()
    const stop = new AbortController()
    tape.meanwhile = async () => stop.abort()
    await advance(id, stop.signal)
    tape.meanwhile = () => Promise.reject(new TransientError('the line broke'))
    await advance(id)
    await ask()
    tape.meanwhile = async () => {}
    expect(await advance(id)).toBe('present')
    expect(tape.calls.filter((what) => what.startsWith('stage'))).toEqual([
      'stage anew',
      'stage request-1',
      'stage request-1',
    ])
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
  })

  test('is released when the recall is given up, also while the endpoint still waits for a drive', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1000
    const id = await ask()
    await advance(id)
    clockMs += context.config.recall.hours * HOUR
    expect(await advance(id)).toBe('failed')
    expect(await row(id)).toMatchObject({ nextAttemptAt: null, reference: null })
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
    tape.checksUntilOnline = 0
    await ask()
    expect(await advance(id)).toBe('present')
    expect(tape.released).toEqual([`${nameOf(run)} request-1`, `${nameOf(run)} request-2`])
  })

  test('is released when the run came into the store in another way', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 1
    const id = await ask()
    await advance(id)
    await context.put(run.key, run.bytes)
    expect(await next(id)).toBe('present')
    expect(tape.calls).not.toContain('read')
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
  })

  test('is released, and nothing is fetched, when the run is requested again after it came into the store', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.checksUntilOnline = 5
    const id = await ask()
    expect(await advance(id)).toBe('staging')
    await context.put(run.key, run.bytes)
    const cloud = await replicaOf(context, run, 'cloud')
    await setState(context, cloud?.id ?? 0, 'deleted', 'present')
    await ask()
    expect(await row(id)).toMatchObject({ state: 'present' })
    clockMs += HOUR
    expect(await advance(id)).toBe('present')
    expect(await taskOfRecall(context.database, id)).toMatchObject({ state: 'done', reference: null })
    expect(tape.calls).toEqual(['stage anew'])
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
  })

  test('that cannot be released is logged, and the run is still brought back', async () => {
    const run = await onlyOnTape(here, tape, number)
    tape.release = () => Promise.reject(new TransientError('the tape system does not answer'))
    const { log, lines } = recordingLog()
    const id = await ask()
    expect(await advanceRecall({ ...here, log }, id, signal, log)).toBe('present')
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'recall-not-released', level: 'warn', run: number }),
    )
    expect(await row(id)).toMatchObject({ state: 'present', lastError: null, leaseOwner: null })
    expect((await bytesInStore(here, run.key))?.equals(run.bytes)).toBe(true)
    expect(await drainRaised(context)).toEqual([])
  })

  test('is not released by a function that has lost its lease, since another function reads it', async () => {
    const run = await onlyOnTape(here, tape, number)
    const id = await ask()
    const taken = { leaseOwner: 'another', leaseUntil: new Date(Date.now() + HOUR) }
    tape.meanwhile = async () => void (await setTask(id, taken))
    expect(await advance(id)).toBe('busy')
    expect(tape.released).toEqual([])
    tape.meanwhile = async () => {}
    await dieAt(id, 'request-1')
    expect(await advance(id)).toBe('present')
    expect(tape.released).toEqual([`${nameOf(run)} request-1`])
  })

  test.each(['before the release', 'after the release and before it was recorded'])(
    'is released by the next function when one dies %s, without fetching anything again',
    async (when) => {
      const run = await onlyOnTape(here, tape, number)
      const id = await ask()
      if (when.startsWith('after')) await advance(id)
      else await context.put(run.key, run.bytes)
      await dieAt(id, 'request-1')
      tape.calls.length = 0
      expect(await advance(id)).toBe('present')
      expect(tape.calls).toEqual([])
      expect(new Set(tape.released)).toEqual(new Set([`${nameOf(run)} request-1`]))
    },
  )

  test('is kept while the same contents are recalled under another key as well', async () => {
    const run = await onlyOnTape(here, tape, number)
    const other = await makeRun(here, number, run.bytes, 'LNF')
    await putOnTape(here, tape, other)
    await deleteFromStore(here, other)
    const id = await ask()
    const others = await ask('LNF')
    expect(await advance(id)).toBe('present')
    expect(tape.released).toEqual([])
    expect(await advance(others)).toBe('present')
    expect(tape.released).toEqual([`${nameOf(other)} request-2`])
  })

  test('needs no release at an endpoint whose staged files do not belong to requests', async () => {
    await onlyOnTape(here, tape, number)
    tape.pins = false
    expect(await advance(await ask())).toBe('present')
    expect(tape.released).toEqual([])
  })
})

test('a recall stores its upload and its stage request together, so that the next function finds both', async () => {
  await onlyOnTape(here, tape, number, MULTIPART_BYTES)
  const id = await ask()
  let reference: unknown = null
  tape.meanwhile = async () => {
    reference = (await taskOfRecall(context.database, id))?.reference
  }
  expect(await advance(id)).toBe('present')
  expect(reference).toEqual({ stage: 'request-1', upload: expect.any(String) })
  expect((await taskOfRecall(context.database, id))?.reference).toBeNull()
})
