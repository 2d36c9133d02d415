/**
 * The promise of the project: no run is ever lost. Random stories of copies, failures, crashes, repeated
 * requests, recalls, deletions and repeated drops are run with the real functions, catalogue and store. After
 * every action the catalogue is compared with the ground truth. Rare events have directed stories.
 *
 * `CYGNET_TEST_STORIES=2000 npx vitest run --project never-lost` runs more stories. Every run prints its
 * seed; CYGNET_TEST_SEED=… repeats the stories of that run.
 */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { processEnvironment } from '../../shared/config/config.ts'
import { type Action, stories } from './actions.ts'
import { BROKEN_FUNCTIONS } from './broken.ts'
import { callFunction } from './calls.ts'
import { type Claims, check } from './check.ts'
import { end } from './end.ts'
import { ENDINGS, type Ending, lifeWithAccident } from './endings.ts'
import { REGRESSIONS, stalledDeletion } from './regressions.ts'
import { runAction } from './run-action.ts'
import { createWorld, leaveWorld, openStage, type Stage, type World } from './world.ts'

const ACTIONS = 40
/** The number and the seed of the random stories, and the longest time of one on a slow machine. */
const { CYGNET_TEST_STORIES = '20', CYGNET_TEST_SEED = String(Date.now() % 2 ** 31) } = processEnvironment()
const STORIES = Number(CYGNET_TEST_STORIES)
const SLOW_STORY_MS = 60_000

// The stories have their own time, so the functions do not really wait.
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

let stage: Stage
let world: World
beforeAll(async () => {
  stage = await openStage()
})
beforeEach(() => {
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => world.clock.timeout(ms))
})
afterEach(() => {
  vi.restoreAllMocks()
})
afterAll(() => stage?.context.close())

/**
 * Runs the actions of a story with the checks after each, and then its end unless `withEnd` is false.
 */
async function runStory(story: readonly Action[], withEnd = true): Promise<void> {
  world = await createWorld(stage)
  const claims: Claims = new Map()
  const expectNoViolation = (when: string) => {
    if (world.violations.all.length > 0) throw new Error([when, ...world.violations.all].join('\n'))
  }
  try {
    for (const [index, action] of story.entries()) {
      await runAction(world, action)
      await check(world, claims)
      expectNoViolation(`after action ${index}, ${JSON.stringify(action)}:`)
    }
    if (withEnd) await end(world, claims)
    expectNoViolation('at the end of the story:')
  } finally {
    await leaveWorld(world)
  }
}

describe('stories', () => {
  test('no run is lost in random stories', { timeout: STORIES * SLOW_STORY_MS }, async () => {
    const seed = Number(CYGNET_TEST_SEED)
    console.info(`never-lost: ${STORIES} random stories with CYGNET_TEST_SEED=${seed}`)
    // A failing story is shortened by repeating parts of it, which must also end before the timeout of the
    // test.
    const limits = { numRuns: STORIES, seed, interruptAfterTimeLimit: STORIES * SLOW_STORY_MS * 0.7 }
    await fc.assert(
      fc.asyncProperty(stories(ACTIONS), (story) => runStory(story)),
      limits,
    )
  })

  const directed = [...ENDINGS, ...(['dies', 'fails', 'stops', 'stalls'] as const).map(lifeWithAccident)]
  test.each(directed.map((ending) => [ending.name, ending] as const))(
    'no run is lost when %s',
    async (_, { story, reaches }: Ending) => {
      stage.counts.clear()
      await runStory(story)
      expect([...stage.counts.keys()]).toEqual(expect.arrayContaining([...reaches]))
    },
  )

  test.each([
    ['from the store', false],
    ['from the store', true],
    ['from the disk of the DAQ', false],
    ['from the disk of the DAQ', true],
  ] as const)(
    'no run is lost by a deletion %s that stalls for two days at any request, with recovery meanwhile: %s',
    { timeout: 40 * SLOW_STORY_MS },
    async (deletion, recovered) => {
      const stalls = () =>
        [...stage.counts].reduce((sum, [what, times]) => sum + (what.startsWith('stalls') ? times : 0), 0)
      for (let at = 0; ; at++) {
        const before = stalls()
        await runStory(stalledDeletion(deletion, at, recovered), false)
        if (stalls() === before) return expect(at).toBeGreaterThan(8)
      }
    },
  )

  test.each(REGRESSIONS)('$name', async ({ story }) => runStory(story))
})

describe('broken functions', () => {
  test.each(BROKEN_FUNCTIONS)(
    'the checks report a function that $name',
    async ({ before, run, violation }) => {
      world = await createWorld(stage)
      const claims: Claims = new Map()
      await runAction(world, { act: 'drop', key: 0, content: 0, onDisk: false, notified: 'now' })
      await runAction(world, { act: 'hour' })
      const [tapeName = ''] = world.groundTruth.locations('tape')
      before?.(world, tapeName)
      await check(world, claims)
      expect(world.violations.all).toEqual([])
      world.clock.wait(60_000)
      await callFunction(world, 'a broken function', (input) => run(input, world))
      await check(world, claims)
      expect(world.violations.all.join('\n')).toMatch(violation)
    },
  )
})
