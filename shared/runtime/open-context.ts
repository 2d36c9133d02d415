/** Opens the capabilities of a process (shared/context.ts), once. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { openChannels } from '../alerts/channels/open-channels.ts'
import type { Config } from '../config/config.ts'
import type { Capabilities, Capability, Context } from '../context.ts'
import { startClock } from '../database/clock.ts'
import { type Database, openDatabase } from '../database/connect.ts'
import { createLogger, type Logger } from '../log.ts'
import { createSqsClient } from '../queue/client.ts'
import { createQueues } from '../queue/queues.ts'
import { createPublicS3Client, createS3Client } from '../storage/client.ts'
import { openTapeDriver } from '../tape/open-driver.ts'
import { reportClock } from '../work/clock-alert.ts'
import { createTapeRestMemory } from './tape-rest-memory.ts'

interface Opened<Value> {
  readonly value: Value
  /** The time of the process, when the capability states one. */
  readonly now?: () => Date
  close(): unknown
}

/**
 * Opens one capability. Functions name theirs by these openers, so that their bundles contain no other
 * clients.
 */
export interface Opener<Name extends Capability> {
  readonly name: Name
  /** `database`: that of the process, which is opened first; null where it has none. */
  open(
    config: Config,
    log: Logger,
    database: Database | null,
  ): Opened<Capabilities[Name]> | Promise<Opened<Capabilities[Name]>>
}

/** Also the clock of the process. A database that is down now is connected to later, like all of them. */
export const database: Opener<'database'> = {
  name: 'database',
  async open({ database: { url, connections } }, log) {
    const value = openDatabase(url, connections)
    const report = (differenceMs: number, at: Date) => reportClock(value, hostname(), differenceMs, at)
    const clock = await startClock(value, log, { differs: report, agrees: report })
    const close = () => {
      clock.close()
      return value.destroy()
    }
    return { value, now: clock.now, close }
  },
}

export const queues: Opener<'queues'> = {
  name: 'queues',
  open(config) {
    const sqs = createSqsClient(config)
    return { value: createQueues(sqs, config.queue.prefix), close: () => sqs.destroy() }
  },
}

export const s3: Opener<'s3'> = {
  name: 's3',
  open(config) {
    const value = createS3Client(config)
    return { value, close: () => value.destroy() }
  },
}

export const publicS3: Opener<'publicS3'> = {
  name: 'publicS3',
  open(config) {
    const value = createPublicS3Client(config)
    return { value, close: () => value.destroy() }
  },
}

export const tape: Opener<'tape'> = {
  name: 'tape',
  async open(config, log, database) {
    const memory = database === null ? undefined : createTapeRestMemory(database)
    const value = await openTapeDriver(config, log, memory)
    return { value, close: () => value?.close() }
  },
}

export const channels: Opener<'channels'> = {
  name: 'channels',
  async open(config) {
    return { value: await openChannels(config), close() {} }
  },
}

/** For a host that knows only at run time which are needed. */
export const OPENERS: { readonly [Name in Capability]: Opener<Name> } = {
  database,
  queues,
  s3,
  publicS3,
  tape,
  channels,
}

/** The context of a function that names these. */
export type ContextOf<Needs extends readonly Opener<Capability>[]> = Context<Needs[number]['name']>

export type OpenContext<Name extends Capability> = Context<Name> & {
  /** Never throws: what cannot be closed is logged. */
  close(): Promise<void>
}

/**
 * @example
 * const context = await openContext(loadConfig(), 'extract-metadata', [database, queues, s3])
 */
export async function openContext<Name extends Capability>(
  config: Config,
  name: string,
  needs: readonly Opener<Name>[],
  log: Logger = createLogger({ function: name, level: config.host.logLevel }),
): Promise<OpenContext<Name>> {
  const opened: [Name, Opened<unknown>][] = []
  const close = async () => {
    for (const [need, one] of opened.toReversed())
      try {
        await one.close()
      } catch (error) {
        // The work is done: a database that does not answer any more is no failure of the process.
        log.warn({ error, capability: need }, 'not-closed')
      }
  }
  const databaseOf = () =>
    (opened.find(([need]) => need === 'database')?.[1].value ?? null) as Database | null
  const inOrder = needs.toSorted((a, b) => Number(b.name === 'database') - Number(a.name === 'database'))
  try {
    for (const need of inOrder) opened.push([need.name, await need.open(config, log, databaseOf())])
  } catch (error) {
    await close()
    throw error
  }
  const capabilities = Object.fromEntries(opened.map(([need, { value }]) => [need, value]))
  const owner = `${name}-${process.pid}-${randomUUID().slice(0, 8)}`
  return {
    config,
    log,
    now: opened.find(([, { now }]) => now !== undefined)?.[1].now ?? (() => new Date()),
    owner,
    ...(capabilities as unknown as Pick<Capabilities, Name>),
    close,
  }
}
