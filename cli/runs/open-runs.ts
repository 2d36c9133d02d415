/** Chooses where the commands read about runs: the API, or the catalogue itself. */

import { catalogueWay } from '../catalogue-way.ts'
import { interruption, withContext } from '../settings.ts'
import type { RunSource } from './run-source.ts'

/** Runs `work` with what the rule of catalogue-way.ts leads to. */
export async function withRuns(
  api: string | undefined,
  work: (source: RunSource, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const way = await catalogueWay(api)
  if (way.kind === 'api') {
    const { createApiRuns } = await import('./api-runs.ts')
    return await work(createApiRuns(way.api), interruption())
  }
  const { createCatalogueRuns } = await import('./catalogue-runs.ts')
  await withContext((context, signal) => work(createCatalogueRuns(context.database), signal))
}
