/** Chooses who brings runs back: the API, or the catalogue itself. */

import { catalogueWay } from '../catalogue-way.ts'
import { interruption, withContext } from '../settings.ts'
import type { RecallSource } from './recall-source.ts'

/** Runs `work` with what the rule of catalogue-way.ts leads to. */
export async function withRecalls(
  api: string | undefined,
  work: (source: RecallSource, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const way = await catalogueWay(api)
  if (way.kind === 'api') {
    const { createApiRecalls } = await import('./api-recalls.ts')
    return await work(createApiRecalls(way.api), interruption())
  }
  const { createCatalogueRecalls } = await import('./catalogue-recalls.ts')
  await withContext((context, signal) => work(createCatalogueRecalls(context), signal))
}
