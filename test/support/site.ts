/**
 * The pages on a catalogue with typical contents: three sites, a week of runs, copies in every state, dead
 * letters.
 */

import { securityHeaders } from '../../functions/catalog-api/access/headers.ts'
import { registerApiRoutes } from '../../functions/catalog-api/api/register.ts'
import { compressed } from '../../functions/catalog-api/http/compressed.ts'
import { createEmptyApi } from '../../functions/catalog-api/http/empty-api.ts'
import type { Api } from '../../functions/catalog-api/http/route.ts'
import type { PageOptions } from '../../functions/catalog-api/pages/options.ts'
import { registerPages } from '../../functions/catalog-api/pages/register.ts'
import { registerReference } from '../../functions/catalog-api/reference/reference.ts'
import type { Caller } from '../../shared/access/caller.ts'
import { recordArrivals } from '../../shared/catalogue/arrivals.ts'
import { refreshStorage } from '../../shared/catalogue/replicas.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import { asEpisodes } from './alerts.ts'
import { copyToTape, record } from './catalogue.ts'
import { signal } from './context.ts'
import { insertCopies } from './copy-tasks.ts'
import { metadataOf, versionOf } from './metadata.ts'
import type { TestTapeContext } from './tape-context.ts'

export const caller = (...scopes: readonly string[]): Caller => ({
  kind: 'person',
  subject: 'person:test',
  name: 'Ada Lovelace',
  scopes,
})
export const READER = caller('read:*', 'link:*')
export const OPERATOR = caller('read:*', 'link:*', 'recall:*', 'operate:*')
export const ANONYMOUS: Caller = { kind: 'anonymous', subject: 'anonymous', name: 'everybody', scopes: [] }

/** An app without access control: `who` returns the caller of each request. */
export function siteApp(
  context: TestTapeContext,
  who: () => Caller,
  options: Partial<PageOptions> = {},
): Api {
  const api = createEmptyApi(context.log)
  const { app } = api
  app.use(securityHeaders({ https: false, issuerOrigin: null }))
  app.use(async (c, next) => {
    c.set('caller', who())
    await next()
  })
  app.use(compressed)
  const pages: PageOptions = {
    browser: null,
    logFolder: null,
    live: { lastsSeconds: 60, pollMs: 50 },
    ...options,
  }
  registerApiRoutes(api, context)
  registerPages(api, context, pages)
  registerReference(api, pages)
  return api
}

const DAY_SECONDS = 86_400
const MINUTE_SECONDS = 60

interface Made {
  readonly tag: string
  readonly runNumber: number
  /** Seconds before now. */
  readonly ago: number
  readonly sizeBytes?: number
  readonly changes?: Partial<FileMetadata>
  readonly odb?: FileMetadata['odb']
}

/** Catalogues a run as extraction does. */
export async function makeRun(
  { database }: TestTapeContext,
  { tag, runNumber, ago, sizeBytes = 412_000_000, changes, odb }: Made,
): Promise<void> {
  const startedAt = Math.floor(Date.now() / 1000) - ago
  const key = `${tag}/run${String(runNumber).padStart(5, '0')}.mid.gz`
  const metadata = metadataOf(
    runNumber,
    {
      sizeBytes,
      startedAt,
      stoppedAt: startedAt + 4 * MINUTE_SECONDS,
      eventCount: 1042,
      eventsById: { '1': 1000, '3': 21, '5': 21 },
      banks: {
        CAM0: { count: 1000, bytes: 10_616_832_000 },
        DGH0: { count: 1000, bytes: 72_000 },
        DIG0: { count: 1000, bytes: 64_000_000 },
      },
      odb: { ...PARAMETERS, run_number: runNumber, ...odb },
      ...changes,
    },
    `${tag} ${runNumber}`,
  )
  await record(
    database,
    versionOf(key, `${tag}-${runNumber}`, { sizeBytes, lastModified: new Date((startedAt + 300) * 1000) }),
    metadata,
    {
      tag,
    },
  )
}

const PARAMETERS = {
  run_description: 'Fe55 at 17.5 cm, standard gas',
  start_time: '2026-01-15 09:12:17',
  stop_time: '2026-01-15 09:16:17',
  exposure_sec: 0.30000001192092896,
  GEM1_V: 440,
  GEM2_V: 440,
  GEM3_V: 440,
  T1_V: 500,
  T2_V: 500,
  DRIFT_V: 920,
  PMT1_V: 850,
  PMT2_V: 850,
  HV_STATE: 1,
  total_gas_flow: 20,
  sequence_filename: 'calibration.msl',
  sequencer_running: 1,
  pedestal_run: 0,
  source_type: 1,
  source_position: 17.5,
  number_of_events: 1000,
} as const

const TROUBLE = { code: 'truncated', message: 'the file ends in the middle of an event', offset: 41_233_920 }

/** About sixty runs; the last of LNGS is 60020. */
export async function fillSite(context: TestTapeContext): Promise<void> {
  const { database } = context
  for (let index = 0; index < 20; index++) {
    const runNumber = 60_001 + index
    const ago = (19 - index) * 7 * 3600 + 12 * MINUTE_SECONDS
    const pedestal = index % 5 === 0
    await makeRun(context, {
      tag: 'LNGS',
      runNumber,
      ago,
      sizeBytes: 300_000_000 + 17_000_000 * (index % 7),
      odb: {
        pedestal_run: Number(pedestal),
        ...(pedestal ? { run_description: 'pedestal, HV off', HV_STATE: 0, source_type: 0 } : {}),
      },
      changes: index === 18 ? { complete: false, problem: TROUBLE } : {},
    })
    if (index < 15) await copyToTape(database, runNumber, 'LNGS')
  }
  for (let index = 0; index < 12; index++) {
    await makeRun(context, {
      tag: 'LNF',
      runNumber: 7001 + index,
      ago: (11 - index) * 14 * 3600 + 3 * 3600,
      sizeBytes: 90_000_000,
    })
    if (index < 10) await copyToTape(database, 7001 + index, 'LNF')
  }
  await makeRun(context, { tag: 'MAN', runNumber: 11_300, ago: 40 * DAY_SECONDS, sizeBytes: 55_000_000 })
  await copyToTape(database, 11_300, 'MAN')
  await asEpisodes(database)
}

/** Adds copies that wait, that failed and that are old, as the rows that the functions leave. */
export async function addCopiesInAllStates({ database }: TestTapeContext): Promise<void> {
  const runs = await database
    .selectFrom('runs')
    .select(['id', 'runNumber'])
    .where('tag', '=', 'LNGS')
    .where('runNumber', '>', 60_015)
    .execute()
  for (const run of runs) {
    const cloud = await database
      .selectFrom('copies')
      .selectAll()
      .where('runId', '=', run.id)
      .where('kind', '=', 'cloud')
      .executeTakeFirstOrThrow()
    const { id: _, ...row } = cloud
    const failed = run.runNumber === 60_017
    const again = run.runNumber === 60_018
    await insertCopies(database, [
      {
        ...row,
        identity: Buffer.alloc(32, run.runNumber % 256),
        kind: 'tape',
        endpoint: 'davs://tape.example.org',
        url: `davs://tape.example.org:8443/cygno/${row.name}`,
        state: failed ? 'failed' : run.runNumber === 60_016 ? 'copying' : 'requested',
        priority: run.runNumber === 60_018 ? 'backlog' : 'live',
        requestedAt: new Date(Date.now() - 3_600_000 * (60_021 - run.runNumber)),
        storedAt: null,
        verifiedAt: null,
        verifiedBy: null,
        attempts: failed ? 4 : again ? 2 : 0,
        lastError: failed
          ? 'the endpoint answered 507 Insufficient Storage'
          : again
            ? 'the endpoint answered 403 Forbidden'
            : null,
        nextAttemptAt: failed || again ? new Date(Date.now() + 600_000) : null,
      },
    ])
    await database.transaction().execute((trx) => refreshStorage(trx, run.id))
  }
}

/** Adds a failed arrival of a file that could not be read; nothing else is known of the run. */
export async function addFailedArrival(
  { database }: TestTapeContext,
  key: string,
  reason: string,
): Promise<void> {
  const arrival = { bucket: 'cygno-data', key, versionId: null, etag: 'given-up', sizeBytes: 412_000_000 }
  const notified = {
    sequencer: null,
    eventName: 's3:ObjectCreated:Put',
    eventTime: null,
    source: 'minio',
  } as const
  await recordArrivals(database, [{ ...arrival, ...notified }], new Date())
  const failed = { state: 'failed', attempts: 6, reason, finishedAt: new Date() } as const
  await database.updateTable('arrivals').set(failed).where('objectKey', '=', key).execute()
}

/** Adds a message to the dead letters of a queue; `about` is in its body. */
export async function addDeadLetter(
  { queues }: TestTapeContext,
  body: Readonly<Record<string, unknown>>,
): Promise<void> {
  await queues.send('tape-requests-dead', [JSON.stringify(body)], signal)
}
