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
