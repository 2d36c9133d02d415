import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { backOffMs } from '../../../shared/time/back-off.ts'
import { runWithin } from '../../../shared/time/limits.ts'
import { pause } from '../../../shared/time/pause.ts'

describe('back-off', () => {
  test('doubles with each failure up to its limit', () => {
    const delays = [1, 2, 3, 4, 5, 6].map((failures) =>
      backOffMs(failures, { firstMs: 100, maxMs: 1000, random: () => 1 }),
    )
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000])
  })

  test('is never less than half of it, never more than the limit, whatever the number of failures', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -5, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, chance) => {
          const delay = backOffMs(failures, { firstMs: 100, maxMs: 5000, random: () => chance })
          expect(delay).toBeGreaterThanOrEqual(50)
          expect(delay).toBeLessThanOrEqual(5000)
        },
      ),
    )
  })
})

describe('pause', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('ends at once when the signal aborts, and leaves no timer', async () => {
    const abort = new AbortController()
    const pausing = pause(3_000_000_000, abort.signal)
    expect(vi.getTimerCount()).toBe(1)
    abort.abort()
    // The clock of this test stands still: nothing here ends because time has passed.
    await pausing
    await pause(60_000, abort.signal)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('lasts as long as it should, also longer than a timer of Node can', async () => {
    const ended = vi.fn()
    const pausing = pause(3_000_000_000, new AbortController().signal).then(ended)
    await vi.advanceTimersByTimeAsync(2_999_999_999)
    expect(ended).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    await pausing
    expect(ended).toHaveBeenCalledOnce()
  })
})

describe('runWithin', () => {
  const never = new AbortController().signal

  test('returns the result of the work, and throws its error', async () => {
    expect(await runWithin(async () => 7, { timeoutSeconds: 1, stop: never })).toBe(7)
    const failing = async () => {
      throw new Error('broken')
    }
    await expect(runWithin(failing, { timeoutSeconds: 1, stop: never })).rejects.toThrow('broken')
  })

  test('work that notices the end of its time may still put things in order', async () => {
    let tidied = false
    const work = (signal: AbortSignal) =>
      new Promise<string>((resolve) => {
        signal.addEventListener('abort', () => {
          setTimeout(() => {
            tidied = true
            resolve('done in time after all')
          }, 50)
        })
      })
    expect(await runWithin(work, { timeoutSeconds: 0.02, stop: never })).toBe('done in time after all')
    expect(tidied).toBe(true)
  })

  test('work that never ends is given up as something to try again', async () => {
    const stop = new AbortController()
    const result = runWithin(() => new Promise(() => {}), { timeoutSeconds: 60, stop: stop.signal })
    stop.abort()
    await expect(result).rejects.toMatchObject({
      name: 'TransientError',
      message: 'the host stopped before the work was finished',
    })
  })

  test('work started after the stop is aborted at once', async () => {
    const work = async (signal: AbortSignal) => signal.throwIfAborted()
    await expect(runWithin(work, { timeoutSeconds: 60, stop: AbortSignal.abort() })).rejects.toThrow(
      'the host stopped',
    )
  })
})
