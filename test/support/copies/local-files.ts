/**
 * Files on a DAQ's disk and their copies elsewhere, for tests of the deletion of local files.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { contentOf, requestTapeReplica } from '../../../shared/catalogue/replicas.ts'
import type { LocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { START, startVerifiedRuns, type VerifiedRuns } from './verified-runs.ts'

export interface LocalFiles {
  readonly runs: VerifiedRuns
  readonly run: number
  readonly key: string
  put(options?: { readonly onTape?: boolean; readonly body?: string }): Promise<LocalCopy>
  local(): ReturnType<VerifiedRuns['replica']>
  tombstones(): Promise<
    readonly { readonly id: number; readonly state: string; readonly survivorUrl: string }[]
  >
  /** Damages or removes the other copies without the knowledge of the catalogue. */
  readonly harm: Readonly<
    Record<'damageTape' | 'removeTape' | 'removeObject' | 'replaceObject', (copy: LocalCopy) => Promise<void>>
  >
  /**
   * Adds another tape copy of the same contents, before the real one: verified according to the catalogue,
   * but at an endpoint that does not exist.
   */
  addFormerEndpoint(): Promise<void>
  endLeases(): Promise<void>
}

/** Registers the hooks that start and close the fixture. Each test has its own key. */
export function useLocalFiles(firstRun: number): LocalFiles {
  let runs: VerifiedRuns
  const state = { run: firstRun, key: '' }
  beforeAll(async () => {
    runs = await startVerifiedRuns()
  })
  afterAll(() => runs?.context.close())
  beforeEach(async () => {
    state.run += 1
    state.key = `LNGS/run${String(state.run).padStart(5, '0')}.mid.gz`
    runs.time = START
    Object.assign(runs.tape, { fault: null, onMedia: true })
    for (const table of ['tombstones', 'replicas'] as const)
      await runs.context.database.deleteFrom(table).execute()
  })
  const onTape = async () => join(runs.context.tapeFolder, (await runs.replica(state.key, 'tape')).name)
  const object = ({ bucket, key }: LocalCopy) => ({ Bucket: bucket, Key: key })
  return {
    get runs() {
      return runs
    },
    get run() {
      return state.run
    },
    get key() {
      return state.key
    },
    async put(options = {}) {
      const { object: stored, sha256 } = await runs.put(state.key, options)
      const { sizeBytes } = stored
      return {
        bucket: stored.bucket,
        key: state.key,
        sha256,
        sizeBytes,
        host: 'daq-1',
        path: `/data/run ${state.run}.mid.gz`,
      }
    },
    local: () => runs.replica(state.key, 'local'),
    tombstones: () => runs.context.database.selectFrom('tombstones').selectAll().orderBy('id').execute(),
    harm: {
      async damageTape() {
        const path = await onTape()
        rmSync(path)
        writeFileSync(path, 'other bytes')
      },
      async removeTape() {
        rmSync(await onTape())
      },
      async removeObject(copy) {
        await runs.context.s3.send(new DeleteObjectCommand(object(copy)))
      },
      async replaceObject(copy) {
        const { sizeBytes, sha256 } = copy
        // With the same size, and with the checksum of the catalogue in its metadata.
        const body = Buffer.alloc(sizeBytes, 7)
        await runs.context.s3.send(
          new PutObjectCommand({ ...object(copy), Body: body, Metadata: { sha256 } }),
        )
      },
    },
    async addFormerEndpoint() {
      const { database } = runs.context
      const tape = await runs.replica(state.key, 'tape')
      const place = {
        endpoint: 'davs://former',
        url: `davs://former/${tape.name}`,
        name: tape.name,
        requestedBy: 'a test',
      }
      const { id } = await requestTapeReplica(database, contentOf(tape), place, new Date(START))
      await sql`UPDATE replicas SET state = 'on-media', verified_at = ${new Date(START)}, verified_by = 'then' WHERE id = ${id}`.execute(
        database,
      )
      // Moves the good copy behind it.
      await sql`UPDATE replicas SET id = ${tape.id + 1_000_000} WHERE id = ${tape.id}`.execute(database)
    },
    async endLeases() {
      await runs.context.database
        .updateTable('replicas')
        .set({ leaseUntil: new Date(0) })
        .where('leaseUntil', 'is not', null)
        .execute()
    },
  }
}
