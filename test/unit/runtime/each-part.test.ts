import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { TransientError } from '../../../shared/errors.ts'
import { createEachPart } from '../../../shared/runtime/each-part.ts'
import { recordingLog } from '../../support/runtime/recording-log.ts'

const { signal } = new AbortController()

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
  await expect(
    createEachPart()({ log, signal }, [failing, part('b', async () => ({ deleted: 3 }))]),
  ).rejects.toThrow('store away')
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
    createEachPart()(
      { log, signal },
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
    createEachPart()({ log, signal: stop.signal }, [
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
  await createEachPart()({ log, signal }, [part('a', async () => undefined)])
  expect(lines).toEqual([])
})

test('sequences run at the same time: one that waits does not hold up the other', async () => {
  const { log, lines } = recordingLog()
  const other = Promise.withResolvers<object>()
  await createEachPart()(
    { log, signal },
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

/** A handler with a long part and quick ones, as each run of its schedule calls it. */
function handlerOf() {
  const { log, lines } = recordingLog()
  const eachPart = createEachPart()
  const long: PromiseWithResolvers<object>[] = []
  let atOnce = 0
  let mostAtOnce = 0
  let quick = 0
  const run = (signal: AbortSignal, allowNext = () => {}) =>
    eachPart(
      { log, signal, allowNext },
      [
        part('long', async () => {
          const end = Promise.withResolvers<object>()
          long.push(end)
          mostAtOnce = Math.max(mostAtOnce, ++atOnce)
          return await end.promise.finally(() => atOnce--)
        }),
        part('after', async () => ({})),
      ],
      [part('quick', async () => ({ runs: ++quick }))],
    )
  const events = () => lines.map(({ event }) => event)
  return { run, events, long, quick: () => quick, mostAtOnce: () => mostAtOnce }
}

test('a part that takes long holds up no other in the next runs, and is never run twice at once', async () => {
  const { run, long, quick, events, mostAtOnce } = handlerOf()
  let allowed = 0
  const first = run(signal, () => allowed++)
  expect(allowed).toBe(1)
  await setImmediate()
  expect(quick()).toBe(1)
  for (const runs of [2, 3, 4]) {
    await run(signal)
    expect(quick()).toBe(runs)
  }
  expect(events().filter((event) => event === 'after-done')).toHaveLength(3)
  expect(events()).not.toContain('long-done')
  long[0]?.resolve({})
  await first
  expect(events()).toContain('long-done')
  const next = run(signal)
  long[1]?.resolve({})
  await next
  expect([long.length, mostAtOnce()]).toEqual([2, 1])
})

test('a part of a run that had to end counts as in progress no more, even if it does not end', async () => {
  const { run, long } = handlerOf()
  const time = new AbortController()
  void run(time.signal)
  await run(signal)
  expect(long).toHaveLength(1)
  time.abort(new TransientError('not finished within 900 s'))
  void run(signal)
  await run(signal)
  expect(long).toHaveLength(2)
  // The end of the first is not the end of the second.
  long[0]?.resolve({})
  await run(signal)
  expect(long).toHaveLength(2)
  long[1]?.resolve({})
})

test('parts of the same kind with other fields are others', async () => {
  const { log, lines } = recordingLog()
  const eachPart = createEachPart()
  const never = new Promise<object>(() => {})
  const of = (bucket: string, work: () => Promise<object>) => ({
    ...{ done: 'listed', failed: 'not-listed', fields: { bucket }, work },
  })
  void eachPart({ log, signal }, [of('a', () => never)])
  await eachPart({ log, signal }, [of('a', async () => ({})), of('b', async () => ({}))])
  expect(lines.filter(({ event }) => event === 'listed')).toMatchObject([{ bucket: 'b' }])
})
