/**
 * The promise of the project: no run is ever lost. Stories of copies, failures, crashes, repeated requests,
 * recalls, deletions and repeated drops, made up at random and played on a real catalogue and store by the
 * functions themselves; after every action what the catalogue says is compared with what is there. What
 * random stories reach only now and then has stories of its own.
 *
 * CYGNET_TEST_STORIES=2000 tells more of them; CYGNET_TEST_SEED=… tells those of a run that failed, which
 * prints its seed: `CYGNET_TEST_STORIES=2000 npx vitest run --project never-lost`.
 */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { processEnvironment } from '../../shared/config/config.ts'
import { type Action, stories } from './actions.ts'
import { BROKEN } from './broken.ts'
import { callFunction } from './calls.ts'
import { type Claims, check } from './check.ts'
import { end } from './end.ts'
import { ENDINGS, type Ending, lifeWith } from './endings.ts'
import { play } from './play.ts'
import { deletionThatStandsStill, TOLD } from './told.ts'
import { createWorld, leaveWorld, openStage, type Stage, type World } from './world.ts'

const ACTIONS = 40
/** Of random stories; and how long one may take on a slow machine. */
const { CYGNET_TEST_STORIES = '20', CYGNET_TEST_SEED = String(Date.now() % 2 ** 31) } = processEnvironment()
const STORIES = Number(CYGNET_TEST_STORIES)
const SLOW_STORY_MS = 60_000

// Waiting between two looks is no part of the stories, whose time is the test's.
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
 * Tells a story to its end; or as far as it was written down, where how all comes right again is not what it
 * is about.
 */
async function tell(story: readonly Action[], untilItsEnd = true): Promise<void> {
  world = await createWorld(stage)
  const claims: Claims = new Map()
  const objections = (when: string) => {
    if (world.violations.all.length > 0) throw new Error([when, ...world.violations.all].join('\n'))
  }
  try {
    for (const [index, action] of story.entries()) {
      await play(world, action)
      await check(world, claims)
      objections(`after action ${index}, ${JSON.stringify(action)}:`)
    }
    if (untilItsEnd) await end(world, claims)
    objections('when all was over:')
  } finally {
    await leaveWorld(world)
  }
}

describe('no run is lost', () => {
  test('whatever happens', { timeout: STORIES * SLOW_STORY_MS }, async () => {
    const seed = Number(CYGNET_TEST_SEED)
    console.info(`never-lost: ${STORIES} random stories with CYGNET_TEST_SEED=${seed}`)
    // A failing story is shortened by telling it again and again, which also ends before the test does.
    const limits = { numRuns: STORIES, seed, interruptAfterTimeLimit: STORIES * SLOW_STORY_MS * 0.7 }
    await fc.assert(
      fc.asyncProperty(stories(ACTIONS), (story) => tell(story)),
      limits,
    )
  })

  const directed = [...ENDINGS, ...(['dies', 'fails', 'stops', 'stalls'] as const).map(lifeWith)]
  test.each(directed.map((ending) => [ending.name, ending] as const))(
    'when %s',
    async (_, { story, reaches }: Ending) => {
      stage.counts.clear()
      await tell(story)
      expect([...stage.counts.keys()]).toEqual(expect.arrayContaining([...reaches]))
    },
  )

  test.each([
    ['from the store', false],
    ['from the store', true],
    ['from the disk of the DAQ', false],
    ['from the disk of the DAQ', true],
  ] as const)(
    'by a deletion %s that stands still for two days, wherever it does; put right meanwhile: %s',
    { timeout: 40 * SLOW_STORY_MS },
    async (deletion, putRight) => {
      const stood = () =>
        [...stage.counts].reduce((sum, [what, times]) => sum + (what.startsWith('stalls') ? times : 0), 0)
      for (let at = 0; ; at++) {
        const before = stood()
        await tell(deletionThatStandsStill(deletion, at, putRight), false)
        if (stood() === before) return expect(at).toBeGreaterThan(8)
      }
    },
  )

  test.each(TOLD)('$name', async ({ story }) => tell(story))
})

describe('what watches over the stories objects to a function that', () => {
  test.each(BROKEN)('$what', async ({ before, does, said }) => {
    world = await createWorld(stage)
    const claims: Claims = new Map()
    await play(world, { act: 'drop', key: 0, content: 0, kept: false, told: 'now' })
    await play(world, { act: 'hour' })
    const [name = ''] = world.truth.locations('tape')
    before?.(world, name)
    await check(world, claims)
    expect(world.violations.all).toEqual([])
    world.clock.wait(60_000)
    await callFunction(world, 'a broken function', (given) => does(given, world))
    await check(world, claims)
    expect(world.violations.all.join('\n')).toMatch(said)
  })
})
