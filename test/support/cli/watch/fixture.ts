/** A folder that is watched in the test's process. The test controls the clocks and the store. */
import { mkdtempSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPushClient } from '../../../../cli/push/push.ts'
import type { WatchEvent } from '../../../../cli/watch/events.ts'
import type { Clock } from '../../../../cli/watch/tracked-files.ts'
import { watchFolder } from '../../../../cli/watch/watch.ts'
import type { WatchRequest } from '../../../../cli/watch/watch-request.ts'
import type { WatchContext } from '../../../../cli/watch/watch-state.ts'
import { loadConfig } from '../../../../shared/config/config.ts'
import { createFixture, MIB } from '../push/fixture.ts'

/** Speed of the monotonic clock relative to real time, so that waits of minutes pass in seconds. */
const CLOCK_SPEED = 60

/**
 * A clock that the test advances, so that a pause of the machine never makes a file idle.
 */
export function createStillClock(): { readonly clock: Clock; wallMs: () => number; pass(ms: number): void } {
  let steadyMs = 0
  const still = {
    wallMs: () => Date.now(),
    clock: { wallMs: () => still.wallMs(), steadyMs: () => steadyMs },
    pass(ms: number) {
      steadyMs += ms
    },
  }
  return still
}

type Named<E extends WatchEvent['event']> = Extract<WatchEvent, { readonly event: E }>

export async function createWatchFixture() {
  const fixture = await createFixture()
  const config = loadConfig({
    CYGNET_DATABASE_URL: 'mysql://none@localhost/none',
    ...fixture.store.environment,
  })
  const stop = new AbortController()
  const newFolder = () => mkdtempSync(join(fixture.folder, 'data-'))

  /** Starts a watch, which ends with the test file at the latest. */
  const watch = (
    folder: string,
    request: Partial<WatchRequest> = {},
    context: Partial<WatchContext> = {},
  ) => {
    const events: WatchEvent[] = []
    const commands: string[] = []
    const network = {
      isDown: false,
      beforeRequest: async (_command: string, _key: string | undefined): Promise<void> => {},
    }
    const ending = new AbortController()
    const s3 = createPushClient(config)
    s3.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (network.isDown)
            throw Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:443'), { code: 'ECONNREFUSED' })
          commands.push(commandName ?? '')
          await network.beforeRequest(commandName ?? '', 'Key' in args.input ? args.input.Key : undefined)
          return await next(args)
        },
      { step: 'initialize' },
    )
    const store = { s3, name: 'test', bucket: fixture.bucket, remote: null, close: () => s3.destroy() }
    const done = watchFolder(
      {
        folder,
        tag: 'LNGS',
        bucket: null,
        limits: { idleMs: 900_000, settleMs: 6_000 },
        partSizeBytes: 5 * MIB,
        concurrency: 2,
        deletion: null,
        once: false,
        ...request,
      },
      {
        place: 'test',
        openStore: async () => store,
        openSafety: null,
        stateFolder: join(fixture.folder, 'stack'),
        signal: AbortSignal.any([ending.signal, stop.signal]),
        clock: { wallMs: () => Date.now(), steadyMs: () => performance.now() * CLOCK_SPEED },
        random: () => 0.5,
        report: (event) => events.push(event),
        pollMs: 20,
        pendingMs: 50,
        tidyMs: 30,
        ...context,
      },
    )
    const of = <E extends WatchEvent['event']>(name: E) =>
      events.filter((event): event is Named<E> => event.event === name)
    return {
      done,
      events,
      /** Requests to the store. */
      commands,
      network,
      of,
      pushed: () => of('file-pushed').map(({ file }) => file.name),
      lastPending: () => of('watch-pending').at(-1)?.pending,
      /** The last reported reason why a file is not in the store. */
      reason: (name: string) =>
        of('watch-pending')
          .at(-1)
          ?.pending.files.find((file) => file.name === name)?.reason,
      async end() {
        ending.abort(new Error('stopped'))
        return await done
      },
    }
  }
  return {
    ...fixture,
    newFolder,
    watch,
    /** Writes a file of a run, last written this many seconds ago. */
    runFile(folder: string, name: string, content: Uint8Array | string, secondsAgo: number) {
      const path = join(folder, name)
      writeFileSync(path, content)
      const at = Date.now() / 1000 - secondsAgo
      utimesSync(path, at, at)
      return path
    },
    close() {
      stop.abort(new Error('the test is over'))
      fixture.close()
    },
  }
}
