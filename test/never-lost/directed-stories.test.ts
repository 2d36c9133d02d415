/** Stories of rare events, each of which must occur, and of faults that were found by random stories. */
import { expect, test } from 'vitest'
import { ENDINGS, type Ending, lifeWithAccident } from './endings.ts'
import { REGRESSIONS } from './regressions.ts'
import { eventCounts, runStory, setStage } from './stage.ts'

setStage()

const directed = [...ENDINGS, ...(['dies', 'fails', 'stops', 'stalls'] as const).map(lifeWithAccident)]
test.each(directed.map((ending) => [ending.name, ending] as const))(
  'no run is lost when %s',
  async (_, { story, reaches }: Ending) => {
    eventCounts().clear()
    await runStory(story)
    expect([...eventCounts().keys()]).toEqual(expect.arrayContaining([...reaches]))
  },
)

test.each(REGRESSIONS)('$name', async ({ story }) => runStory(story))
