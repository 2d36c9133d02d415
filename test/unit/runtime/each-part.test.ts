import { expect, test } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { eachPart } from '../../../shared/runtime/each-part.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const part = (name: string, work: () => Promise<object | undefined>) => ({
  done: `${name}-done`,
  failed: `${name}-failed`,
  fields: { bucket: name },
  work,
})

test('a part that fails is logged and stops no other; the whole fails at the end', async () => {
  const { log, lines } = recordingLog()
  const failing = part('a', async () => {
    throw new TransientError('store away')
  })
  await expect(eachPart({ log }, [failing, part('b', async () => ({ deleted: 3 }))])).rejects.toThrow(
    'store away',
  )
  expect(lines).toMatchObject([
    { event: 'a-failed', level: 'error', bucket: 'a', error: { name: 'TransientError' } },
    { event: 'b-done', level: 'info', bucket: 'b', deleted: 3, ms: expect.any(Number) },
  ])
})

test('when all parts fail each is logged, and the first failure in time is thrown', async () => {
  const { log, lines } = recordingLog()
  const failing = (name: string, after: Promise<unknown> = Promise.resolve()) =>
    part(name, async () => {
      await after
      throw new TransientError(`${name} is away`)
    })
  const secondSequence = Promise.withResolvers<void>()
  await expect(
    eachPart(
      { log },
      [failing('a', secondSequence.promise), failing('b')],
      [
        failing('c'),
        part('d', async () => {
          secondSequence.resolve()
          throw new TransientError('d is away')
        }),
      ],
    ),
  ).rejects.toThrow('c is away')
  expect(lines.map((line) => line.event)).toEqual(['c-failed', 'd-failed', 'a-failed', 'b-failed'])
})

test('when the signal aborts between parts, those left are called and end by themselves', async () => {
  const { log, lines } = recordingLog()
  const stop = new AbortController()
  const interrupted = new TransientError('the time is up')
  await expect(
    eachPart({ log }, [
      part('a', async () => {
        stop.abort(interrupted)
        return { copied: 1 }
      }),
      part('b', async () => ({ finished: !stop.signal.aborted })),
      part('c', async () => {
        stop.signal.throwIfAborted()
        return {}
      }),
    ]),
  ).rejects.toBe(interrupted)
  expect(lines).toMatchObject([
    { event: 'a-done', copied: 1 },
    { event: 'b-done', finished: false },
    { event: 'c-failed' },
  ])
})

test('a part that returns nothing logs nothing', async () => {
  const { log, lines } = recordingLog()
  await eachPart({ log }, [part('a', async () => undefined)])
  expect(lines).toEqual([])
})

test('sequences run at the same time: one that waits does not hold up the other', async () => {
  const { log, lines } = recordingLog()
  const other = Promise.withResolvers<object>()
  await eachPart(
    { log },
    [part('a', () => other.promise)],
    [
      part('b', async () => {
        other.resolve({})
        return {}
      }),
    ],
  )
  expect(lines.map((line) => line.event).toSorted()).toEqual(['a-done', 'b-done'])
})
