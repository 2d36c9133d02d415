/** Where links come from on this machine. */
import { createLogger } from '../../shared/log.ts'
import { catalogueWay } from '../catalogue-way.ts'
import { loadSettings } from '../settings.ts'
import { createApiLinks } from './api-links.ts'
import { createCatalogueLinks } from './catalogue-links.ts'
import type { LinkSource } from './link-source.ts'

/** By the rule of catalogue-way.ts. */
export async function openLinkSource(api: string | undefined): Promise<LinkSource> {
  const way = await catalogueWay(api)
  if (way.kind === 'api') return createApiLinks(way.api)
  const { createTapeContext } = await import('../../shared/runtime/context.ts')
  const destination = { write: (line: string) => process.stderr.write(line) }
  const config = await loadSettings()
  return createCatalogueLinks(await createTapeContext(config, 'cli', createLogger({ function: 'cli', level: 'error', destination })))
}
