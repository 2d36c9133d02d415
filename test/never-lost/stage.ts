/** The stage of a test file's stories, and what runs one of them. */
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'
import type { Action } from './actions.ts'
import { type Claims, check } from './check.ts'
import { end } from './end.ts'
import { runAction } from './run-action.ts'
import { createWorld, leaveWorld, openStage, type Stage, type World } from './world.ts'

/** The longest time of a story on a slow machine. */
export const SLOW_STORY_MS = 60_000

let stage: Stage
let world: World

/** Opens the stage for the tests of the calling file. Their time limits are those of the world's clock. */
export function setStage(): void {
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
}

/** What happened in the stories so far, by the name of the event. */
export const eventCounts = (): Map<string, number> => stage.counts

export async function enterWorld(): Promise<World> {
  world = await createWorld(stage)
  return world
}

/**
 * Runs the actions of a story with the checks after each, and then its end unless `withEnd` is false.
 * @throws Error with the violations of the promise that no run is lost.
 */
export async function runStory(story: readonly Action[], withEnd = true): Promise<void> {
  const { violations } = await enterWorld()
  const claims: Claims = new Map()
  const expectNoViolation = (when: string) => {
    if (violations.all.length > 0) throw new Error([when, ...violations.all].join('\n'))
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
