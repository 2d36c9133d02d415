/** Plays a story: each action is done in the world, by the functions themselves where it is theirs. */
import type { Action, Drop, Harm, Step, Work } from './actions.ts'
import { type Circumstances, callFunction, UNDISTURBED } from './calls.ts'
import { bytesOf, KEYS } from './contents.ts'
import { functionFor, handle } from './functions.ts'
import { dropObject, harmTape, keepFile, removeObject } from './outside.ts'
import type { Message } from './queues.ts'
import type { World } from './world.ts'

const MINUTE_MS = 60_000
/** What one action takes, so that no two happen at the same time of the clock. */
const ACTION_MS = 1000
/** Delivered in one go; messages that fail come back at once. */
const MOST_MESSAGES = 30

export async function play(world: World, action: Action): Promise<void> {
  world.clock.wait(ACTION_MS)
  switch (action.act) {
    case 'drop':
      return await drop(world, action)
    case 'harm':
      return await harm(world, action)
    case 'step':
      return await take(world, action)
    case 'together': {
      const { meanwhile } = action
      const other =
        meanwhile === null ? [] : [meanwhile.act === 'drop' ? drop(world, meanwhile) : harm(world, meanwhile)]
      await Promise.all([...action.steps.map((step) => take(world, step)), ...other])
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
      return await anHour(world)
    case 'wait':
      return world.clock.wait(action.minutes * MINUTE_MS)
    case 'service':
      return await world.tapeLibrary.work(action.ends)
    case 'migrate':
      return world.tapeLibrary.migrate()
    case 'library':
      world.tapeLibrary.modes = action.modes
  }
}

/**
 * Everything that waits in a queue or is due by a schedule, without accidents; and a service that does its
 * work.
 */
export async function anHour(world: World): Promise<void> {
  const run = (work: Work) => take(world, { work, ...UNDISTURBED })
  world.clock.wait(60 * MINUTE_MS)
  await run({ do: 'reconcile' })
  for (let most = MOST_MESSAGES; most > 0 && world.queues.waiting.length > 0; most--)
    await run({ do: 'deliver', which: 0, stays: false })
  await run({ do: 'track arrivals' })
  await run({ do: 'sweep' })
  for (let most = 3; most > 0; most--) {
    await run({ do: 'copy' })
    await world.tapeLibrary.work('well')
    world.tapeLibrary.migrate()
    world.clock.wait(60 * MINUTE_MS)
    await run({ do: 'follow' })
  }
  await run({ do: 'advance recalls' })
  await run({ do: 'start push' })
  for (const key of KEYS.keys()) await run({ do: 'tell of file', key })
}

async function drop(world: World, { key, content, kept, told }: Drop): Promise<void> {
  const bytes = bytesOf(key, content)
  if (kept) keepFile(world, KEYS[key] ?? '', bytes)
  const body = await dropObject(world, KEYS[key] ?? '', bytes)
  const message = { queue: 'runs' as const, body }
  if (told === 'now') await hand(world, message, UNDISTURBED)
  else if (told !== 'never')
    world.queues.waiting.push(...Array.from({ length: told === 'twice' ? 2 : 1 }, () => message))
}

async function harm(world: World, { how, which }: Harm): Promise<void> {
  const names = how === 'removes an object' ? world.truth.locations('store') : world.truth.locations('tape')
  const name = names[which % Math.max(1, names.length)]
  if (name === undefined) return
  if (how === 'removes an object') await removeObject(world, name)
  else harmTape(world, name, how === 'damages a file on tape' ? 'damage' : 'remove')
}

export async function take(world: World, { work, accident, pace }: Step): Promise<void> {
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
  if (stays) return await callFunction(world, message.queue, (given) => handle(given, message), more)
  waiting.splice(at, 1)
  await hand(world, message, more)
}

/**
 * A message that is not deleted comes back; so does that of a function which stands still, when its time in
 * the queue is over.
 */
async function hand(world: World, message: Message, more: Circumstances): Promise<void> {
  let done = false
  await callFunction(
    world,
    message.queue,
    async (given) => {
      done = await handle(given, message)
    },
    more,
  )
  if (!done) world.queues.waiting.push(message)
}
