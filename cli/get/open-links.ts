/** Chooses where links come from: the API, or the catalogue itself. */

import { catalogueWay } from '../catalogue-way.ts'
import { interruption, withTapeContext } from '../settings.ts'
import type { LinkSource } from './link-source.ts'

/** Runs `work` with what the rule of catalogue-way.ts leads to. */
export async function withLinks(
  api: string | undefined,
  work: (source: LinkSource, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const way = await catalogueWay(api)
  if (way.kind === 'api') {
    const { createApiLinks } = await import('./api-links.ts')
    return await work(createApiLinks(way.api), interruption())
  }
  const { createCatalogueLinks } = await import('./catalogue-links.ts')
  await withTapeContext((context, signal) => work(createCatalogueLinks(context), signal))
}
