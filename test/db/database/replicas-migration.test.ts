import { afterEach, beforeEach, expect, test } from 'vitest'
import { contentOf, replicaIdentity } from '../../../shared/catalogue/replicas.ts'
import { up as migrateReplicas } from '../../../shared/database/migrations/0002-replicas.ts'
import type { Replica } from '../../../shared/database/replica-schema.ts'
import { record } from '../../support/catalogue.ts'
import { keyOf, startTapeWorld, type TapeWorld } from '../../support/copies/tape-world.ts'
import { metadataOf, versionOf } from '../../support/metadata.ts'

let world: TapeWorld
let context: TapeWorld['context']
beforeEach(async () => {
  world = await startTapeWorld()
  ;({ context } = world)
})
afterEach(() => world.context.close())

const KEYS = [
  keyOf(1),
  'FLASH/2024/run00002.mid.gz',
  'Größe/run00003.mid.gz',
  '测量 😀/run00004.mid.gz',
  'it\'s "100%"\\_/run00005.mid.gz',
  'spaces  and + signs /run00006.mid.gz',
  'LNGS/RUN.7/run00007.mid.gz',
  'é/run00008.mid.gz',
  'e\u0301/run00008.mid.gz',
  `${'x'.repeat(200)}/run00009.mid.gz`,
]

test('the migration writes for every file of an older catalogue the row that cataloguing it again would find', async () => {
  for (const [index, key] of KEYS.entries()) {
    const tag = key.slice(0, key.lastIndexOf('/'))
    await record(
      context.database,
      versionOf(key, `e${index}`, { bucket: context.bucket }),
      metadataOf(index, {}, key),
      { tag },
    )
  }
  const before = await world.replicas('cloud')
  await context.database.deleteFrom('replicas').execute()
  for (let times = 0; times < 2; times++) await migrateReplicas(context.database as never)
  const after = await world.replicas('cloud')
  expect(after).toHaveLength(KEYS.length)
  for (const row of after) expect(row.identity).toEqual(replicaIdentity('cloud', '', contentOf(row)))
  const facts = (rows: readonly Replica[]) =>
    rows
      .map(
        ({
          identity,
          runId,
          tag,
          bucket,
          objectKey,
          url,
          name,
          sizeBytes,
          md5,
          sha256,
          adler32,
          state,
          endpoint,
        }) => ({
          identity,
          runId,
          tag,
          bucket,
          objectKey,
          url,
          name,
          sizeBytes,
          md5,
          sha256,
          adler32,
          state,
          endpoint,
        }),
      )
      .toSorted((a, b) => (a.objectKey < b.objectKey ? -1 : 1))
  expect(facts(after)).toEqual(facts(before))
})
