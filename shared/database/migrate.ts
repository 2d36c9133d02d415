/** The schema's migrations, in code so that a bundled function carries them. */
import { Migrator } from 'kysely'
import { TransientError } from '../errors.ts'
import type { Database } from './connect.ts'
import * as foundation from './migrations/0001-foundation.ts'
import * as replicas from './migrations/0002-replicas.ts'
import * as apiTokens from './migrations/0003-api-tokens.ts'
import * as search from './migrations/0004-search.ts'
import * as runStorage from './migrations/0005-run-storage.ts'
import * as endedSessions from './migrations/0006-ended-sessions.ts'
import * as beginByNumber from './migrations/0007-begin-by-number.ts'
import * as totals from './migrations/0008-totals.ts'
import * as loggedRuns from './migrations/0009-logged-runs.ts'
import * as tasks from './migrations/0010-tasks.ts'
import * as parameterSources from './migrations/0011-parameter-sources.ts'
import * as cameras from './migrations/0012-cameras.ts'
import * as recalls from './migrations/0013-recalls.ts'
import * as replicaFacts from './migrations/0014-replica-facts.ts'
import * as dueArrivals from './migrations/0015-due-arrivals.ts'

const migrations = {
  '0001-foundation': foundation,
  '0002-replicas': replicas,
  '0003-api-tokens': apiTokens,
  '0004-search': search,
  '0005-run-storage': runStorage,
  '0006-ended-sessions': endedSessions,
  '0007-begin-by-number': beginByNumber,
  '0008-totals': totals,
  '0009-logged-runs': loggedRuns,
  '0010-tasks': tasks,
  '0011-parameter-sources': parameterSources,
  '0012-cameras': cameras,
  '0013-recalls': recalls,
  '0014-replica-facts': replicaFacts,
  '0015-due-arrivals': dueArrivals,
}

/** Brings the schema up to date. Several processes may call it at once, because the migrator takes a lock. */
export async function migrate(database: Database): Promise<readonly string[]> {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } })
  const { error, results } = await migrator.migrateToLatest()
  if (error !== undefined)
    throw new TransientError(
      `the catalogue's schema could not be brought up to date: ${String(error)}`,
      {},
      { cause: error },
    )
  return (results ?? []).filter((result) => result.status === 'Success').map((result) => result.migrationName)
}
