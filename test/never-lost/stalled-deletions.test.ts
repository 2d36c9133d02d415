/** Deletions whose process stalls at any of its requests. */
import { expect, test } from 'vitest'
import { stalledDeletion } from './regressions.ts'
import { eventCounts, runStory, SLOW_STORY_MS, setStage } from './stage.ts'

setStage()

test.each([
  ['from the store', false],
  ['from the store', true],
  ['from the disk of the DAQ', false],
  ['from the disk of the DAQ', true],
] as const)(
  'no run is lost by a deletion %s that stalls for two days at any request, with recovery meanwhile: %s',
  { timeout: 40 * SLOW_STORY_MS, tags: ['long'] },
  async (deletion, recovered) => {
    const stalls = () =>
      [...eventCounts()].reduce((sum, [what, times]) => sum + (what.startsWith('stalls') ? times : 0), 0)
    for (let at = 0; ; at++) {
      const before = stalls()
      await runStory(stalledDeletion(deletion, at, recovered), false)
      if (stalls() === before) return expect(at).toBeGreaterThan(8)
    }
  },
)
