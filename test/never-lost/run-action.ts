/** Runs the actions of a story; work of Cygnet is done by its own functions. */
import type { Action, Drop, Harm, Step, Work } from './actions.ts'
import { type Circumstances, callFunction, UNDISTURBED } from './calls.ts'
import { bytesOf, KEYS } from './contents.ts'
import { dropObject, harmTapeFile, removeObject, writeLocalFile } from './external-actors.ts'
import { functionFor, handle } from './functions.ts'
import type { Message } from './queues.ts'
import type { World } from './world.ts'

const MINUTE_MS = 60_000
/** The duration of an action, so that no two happen at the same time of the clock. */
const ACTION_MS = 1000
/** The most messages delivered in one hour, because messages that fail come back at once. */
const MAX_MESSAGES = 30

export async function runAction(world: World, action: Action): Promise<void> {
  world.clock.wait(ACTION_MS)
  switch (action.act) {
    case 'drop':
      return await drop(world, action)
    case 'harm':
      return await harm(world, action)
    case 'step':
      return await runStep(world, action)
    case 'together': {
      const { meanwhile } = action
      const other =
        meanwhile === null ? [] : [meanwhile.act === 'drop' ? drop(world, meanwhile) : harm(world, meanwhile)]
      await Promise.all([...action.steps.map((step) => runStep(world, step)), ...other])
      return
    }
    case 'wake': {
      const [stalled] = world.stalled.splice(action.which % Math.max(1, world.stalled.length), 1)
      stalled?.call.wake(action.how)
      return await stalled?.ended
    }
    case 'lose':
      world.queues.waiting.splice(action.which % Math.max(1, world.queues.waiting.length), 1)
      return
    case 'hour':
      return await quietHour(world)
    case 'wait':
      return world.clock.wait(action.minutes * MINUTE_MS)
    case 'service':
      return await world.tapeLibrary.finishJobs(action.jobs)
    case 'migrate':
      return world.tapeLibrary.migrate()
    case 'library':
      world.tapeLibrary.modes = action.modes
  }
}

/**
 * Delivers all messages and runs all schedules without accidents, while the transfer service does its work.
 */
export async function quietHour(world: World): Promise<void> {
  const run = (work: Work) => runStep(world, { work, ...UNDISTURBED })
  world.clock.wait(60 * MINUTE_MS)
  await run({ do: 'reconcile' })
  for (let most = MAX_MESSAGES; most > 0 && world.queues.waiting.length > 0; most--)
    await run({ do: 'deliver', which: 0, stays: false })
  await run({ do: 'track arrivals' })
  await run({ do: 'sweep' })
  for (let most = 3; most > 0; most--) {
    await run({ do: 'copy' })
    await world.tapeLibrary.finishJobs('done')
    world.tapeLibrary.migrate()
    world.clock.wait(60 * MINUTE_MS)
    await run({ do: 'follow' })
  }
  await run({ do: 'advance recalls' })
  await run({ do: 'start push' })
  for (const key of KEYS.keys()) await run({ do: 'report file', key })
}

async function drop(world: World, { key, content, onDisk, notified }: Drop): Promise<void> {
  const bytes = bytesOf(key, content)
  if (onDisk) writeLocalFile(world, KEYS[key] ?? '', bytes)
  const body = await dropObject(world, KEYS[key] ?? '', bytes)
  const message = { queue: 'runs' as const, body }
  if (notified === 'now') await deliverOnce(world, message, UNDISTURBED)
  else if (notified !== 'never')
    world.queues.waiting.push(...Array.from({ length: notified === 'twice' ? 2 : 1 }, () => message))
}

async function harm(world: World, { how, which }: Harm): Promise<void> {
  const names =
    how === 'remove object' ? world.groundTruth.locations('store') : world.groundTruth.locations('tape')
  const name = names[which % Math.max(1, names.length)]
  if (name === undefined) return
  if (how === 'remove object') await removeObject(world, name)
  else harmTapeFile(world, name, how === 'damage tape file' ? 'damage' : 'remove')
}

export async function runStep(world: World, { work, accident, pace }: Step): Promise<void> {
  if (work.do === 'deliver') return await deliver(world, work, { accident, pace })
  await callFunction(world, work.do, await functionFor(world, work), { accident, pace })
}

async function deliver(
  world: World,
  { which, stays }: Extract<Work, { do: 'deliver' }>,
  more: Circumstances,
): Promise<void> {
  const { waiting } = world.queues
  const at = which % Math.max(1, waiting.length)
  const message = waiting[at]
  if (message === undefined) return
  if (stays) return await callFunction(world, message.queue, (input) => handle(input, message), more)
  waiting.splice(at, 1)
  await deliverOnce(world, message, more)
}

/**
 * Takes a message out of the queue and delivers it. A message that is not deleted comes back, also that of a
 * function that stalls.
 */
async function deliverOnce(world: World, message: Message, more: Circumstances): Promise<void> {
  let done = false
  await callFunction(
    world,
    message.queue,
    async (input) => {
      done = await handle(input, message)
    },
    more,
  )
  if (!done) world.queues.waiting.push(message)
}
