/**
 * The promise of the project: no run is ever lost. Random stories of copies, failures, crashes, repeated
 * requests, recalls, deletions and repeated drops are run with the real functions, catalogue and store. After
 * every action the catalogue is compared with the ground truth. Rare events have directed stories.
 *
 * `CYGNET_TEST_STORIES=2000 npx vitest run test/never-lost/random-stories` runs more stories. Every run prints
 * its seed; CYGNET_TEST_SEED=… repeats the stories of that run.
 */
import fc from 'fast-check'
import { test } from 'vitest'
import { processEnvironment } from '../../shared/config/config.ts'
import { stories } from './actions.ts'
import { runStory, SLOW_STORY_MS, setStage } from './stage.ts'

const ACTIONS = 40
const { CYGNET_TEST_STORIES = '20', CYGNET_TEST_SEED = String(Date.now() % 2 ** 31) } = processEnvironment()
const STORIES = Number(CYGNET_TEST_STORIES)

setStage()

test('no run is lost in random stories', { timeout: STORIES * SLOW_STORY_MS, tags: ['long'] }, async () => {
  const seed = Number(CYGNET_TEST_SEED)
  console.info(`never-lost: ${STORIES} random stories with CYGNET_TEST_SEED=${seed}`)
  // A failing story is shortened by repeating parts of it, which must also end before the timeout of the test.
  const limits = { numRuns: STORIES, seed, interruptAfterTimeLimit: STORIES * SLOW_STORY_MS * 0.7 }
  await fc.assert(
    fc.asyncProperty(stories(ACTIONS), (story) => runStory(story)),
    limits,
  )
})
