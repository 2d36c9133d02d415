/** For tests of copies to tape: a context with a tape that can fail and a clock that the test sets. */
import { replicaIdentity } from '../../../shared/catalogue/replicas.ts'
import { sweepCopies } from '../../../shared/copies/tape/sweep-copies.ts'
import { acceptTapeRequest } from '../../../shared/copies/tape/tape-request.ts'
import type { Copy, Replica } from '../../../shared/database/replica-schema.ts'
import { createDirectoryDriver } from '../../../shared/tape/directory/directory.ts'
import { drainRaised } from '../alerts.ts'
import { signal } from '../context.ts'
import { insertCopies } from '../copy-tasks.ts'
import { DAY_MS } from '../deletions.ts'
import { type FaultyTape, faultyTape } from '../faulty-tape.ts'
import { type CataloguedObject, startTestTapeContext } from '../tape-context.ts'
import { copyNext } from '../tape-copies.ts'

export const keyOf = (runNumber: number, tag = 'LNGS') =>
  `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`

export type TapeWorld = Awaited<ReturnType<typeof startTapeWorld>>

/** `clock.time` is in milliseconds and starts two days from now, so that objects are old enough to be deleted. */
export async function startTapeWorld() {
  const clock = { time: Date.now() + 2 * DAY_MS }
  let tape: FaultyTape | undefined
  const context = await startTestTapeContext({
    now: () => new Date(clock.time),
    driver: (folder) => {
      tape = faultyTape(createDirectoryDriver({ folder }))
      return tape
    },
  })
  return {
    context,
    tape: tape as FaultyTape,
    clock,
    request: ({ tag, runNumber, sha256, object: { key } }: CataloguedObject) =>
      acceptTapeRequest(context, { tag, runNumber, bucket: context.bucket, key, sha256, priority: 'live' }),
    copy: () => copyNext(context, signal, context.log),
    sweep: () => sweepCopies(context, signal),
    replicas: (kind: Replica['kind']) =>
      context.database.selectFrom('copies').selectAll().where('kind', '=', kind).orderBy('id').execute(),
    /** Rule and severity of the alerts raised since the last call. */
    alerts: async () => (await drainRaised(context)).map(({ rule, severity }) => `${rule} ${severity}`),
    /** Adds rows like that of a copy, each with different contents. */
    async multiply(
      replica: Copy,
      count: number,
      changes: (index: number) => Partial<Copy> = () => ({}),
    ): Promise<void> {
      const { id: _, ...columns } = replica
      const rows = Array.from({ length: count }, (_unused, index) => {
        const row = {
          ...columns,
          sha256: index.toString(16).padStart(64, '0'),
          objectKey: keyOf(50_000 + index),
          ...changes(index),
        }
        const content = { bucket: row.bucket, key: row.objectKey, sha256: row.sha256 }
        return { ...row, identity: replicaIdentity(row.kind, row.endpoint, content, 'x') }
      })
      await insertCopies(context.database, rows)
    },
  }
}
