/** The time of a story. It passes only when the story lets it pass. */

export interface Clock {
  now(): Date
  nowMs(): number
  wait(ms: number): void
  /**
   * AbortSignal.timeout in the story's time: the time limits of a call that stalled are over when it
   * continues.
   */
  timeout(ms: number): AbortSignal
}

export function createClock(startMs: number): Clock {
  let time = startMs
  let limits: { readonly endsAt: number; readonly controller: AbortController }[] = []
  return {
    now: () => new Date(time),
    nowMs: () => time,
    wait(ms) {
      time += ms
      const expired = limits.filter(({ endsAt }) => endsAt <= time)
      limits = limits.filter(({ endsAt }) => endsAt > time)
      for (const { controller } of expired)
        controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
    },
    timeout(ms) {
      const controller = new AbortController()
      limits.push({ endsAt: time + ms, controller })
      return controller.signal
    },
  }
}
