/**
 * Runs with verified copies in the store and on tape, made by the real functions, and queries about them.
 */
import type { WithTape } from '../../../shared/copies/tape/tape-copy.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import { createLogger } from '../../../shared/log.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { drainRaised } from '../alerts.ts'
import { signal } from '../context.ts'
import { type FaultyTape, faultyTape } from '../faulty-tape.ts'
import { type CataloguedObject, startTestTapeContext, type TestTapeContext } from '../tape-context.ts'
import { copyNext } from '../tape-copies.ts'

export const log = createLogger({ function: 'test', level: 'silent' })
export const START = new Date('2026-03-01T12:00:00Z').getTime()

export interface VerifiedRuns {
  readonly context: TestTapeContext
  readonly tape: FaultyTape
  /** The time for the functions, milliseconds. */
  time: number
  /** Puts a run into the store, catalogues it, and copies it to tape by default. */
  put(key: string, options?: { readonly body?: string; readonly onTape?: boolean }): Promise<CataloguedObject>
  replica(
    key: string,
    kind: 'cloud' | 'tape' | 'local',
  ): Promise<Awaited<ReturnType<typeof replicasUnder>>[number]>
  history(key: string): Promise<readonly string[]>
  alerts(): Promise<readonly { readonly rule: string; readonly severity: string; readonly summary: string }[]>
}

export async function startVerifiedRuns(
  environment: Readonly<Record<string, string>> = {},
): Promise<VerifiedRuns> {
  const context = await startTestTapeContext({
    driver: (folder) => faultyTape(createDirectoryDriver({ folder })),
    environment,
    now: () => new Date(runs.time),
  })
  const runs: VerifiedRuns = {
    context,
    tape: context.tape as FaultyTape,
    time: START,
    async put(key, { body = key, onTape = true } = {}) {
      const object = await context.putRun(key, body)
      // It is catalogued at the time of this machine.
      const copies = context.database.updateTable('replicas').where('objectKey', '=', key)
      await copies
        .where('kind', '=', 'cloud')
        .set({ checkedAt: new Date(runs.time) })
        .execute()
      if (!onTape) return object
      const { tag, runNumber, sha256 } = object
      const request = { tag, runNumber, bucket: context.bucket, key, sha256, priority: 'live' as const }
      await acceptTapeRequest(context as WithTape, request)
      // If former contents have the name, the first step only gives the copy its alternate name.
      for (let step = 0; step < 2; step++) {
        const state = await copyNext(context as WithTape, signal, log)
        if (state === 'on-media' || state === 'staged') return object
      }
      throw new Error(`${key} was not copied to tape`)
    },
    async replica(key, kind) {
      const found = (await replicasUnder(context, key)).findLast((replica) => replica.kind === kind)
      if (found === undefined) throw new Error(`${key} has no ${kind} copy`)
      return found
    },
    async history(key) {
      const lines = await context.database
        .selectFrom('runHistory')
        .innerJoin('runFiles', 'runFiles.runId', 'runHistory.runId')
        .select('what')
        .where('objectKey', '=', key)
        .where('isLive', '=', true)
        .orderBy('runHistory.id')
        .execute()
      return lines.map((line) => line.what)
    },
    async alerts() {
      const bodies = await drainRaised(context)
      return bodies.map(({ rule, severity, summary }) => ({
        rule: String(rule),
        severity: String(severity),
        summary: String(summary),
      }))
    },
  }
  return runs
}

const replicasUnder = (context: TestTapeContext, key: string) =>
  context.database.selectFrom('copies').selectAll().where('objectKey', '=', key).orderBy('id').execute()
