/** The time of a story: it stands still, unless the story lets it pass. */

export interface Clock {
  now(): Date
  nowMs(): number
  wait(ms: number): void
  /** What AbortSignal.timeout is in a story: so that a call which stood still finds its limits over. */
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
      const over = limits.filter(({ endsAt }) => endsAt <= time)
      limits = limits.filter(({ endsAt }) => endsAt > time)
      for (const { controller } of over)
        controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
    },
    timeout(ms) {
      const controller = new AbortController()
      limits.push({ endsAt: time + ms, controller })
      return controller.signal
    },
  }
}
