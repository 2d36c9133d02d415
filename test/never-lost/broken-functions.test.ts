/** The checks of the stories find what broken functions do. */
import { expect, test } from 'vitest'
import { BROKEN_FUNCTIONS } from './broken.ts'
import { callFunction } from './calls.ts'
import { type Claims, check } from './check.ts'
import { runAction } from './run-action.ts'
import { enterWorld, setStage } from './stage.ts'

setStage()

test.each(BROKEN_FUNCTIONS)('the checks report a function that $name', async ({ before, run, violation }) => {
  const world = await enterWorld()
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
})
