/** vitest's setup of these tests: stories have their own time, so the functions do not really wait. */
import { vi } from 'vitest'

vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>()
  return {
    ...real,
    setTimeout: (_ms: number, value: unknown, options: object) => real.setTimeout(1, value, options),
  }
})
vi.mock('../../shared/time/pause.ts', async (original) => ({
  ...(await original<typeof import('../../shared/time/pause.ts')>()),
  pause: async () => {},
}))
