/**
 * Time limits (AbortSignal.timeout) that expire only when a test lets them: a slow machine never reaches one,
 * and no test waits for one.
 */
import { vi } from 'vitest'

/**
 * Replaces AbortSignal.timeout until `vi.restoreAllMocks()`. @returns a function that expires all limits set
 * so far.
 */
export function holdTimeLimits(): () => void {
  const open = new Set<AbortController>()
  vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => {
    const limit = new AbortController()
    open.add(limit)
    return limit.signal
  })
  return () => {
    for (const limit of open)
      limit.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
    open.clear()
  }
}
