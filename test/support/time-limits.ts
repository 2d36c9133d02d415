/**
 * Time limits (AbortSignal.timeout) that end when a test ends them: a slow machine reaches none of them, and
 * no test waits for one.
 */
import { vi } from 'vitest'

/**
 * Replaces AbortSignal.timeout until `vi.restoreAllMocks()`. @returns what ends every limit that was set so
 * far.
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
