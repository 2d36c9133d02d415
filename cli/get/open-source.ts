/** Where links come from on this machine. */
import { processEnvironment } from '../../shared/config.ts'
import { createLogger } from '../../shared/log.ts'
import { apiClient } from '../api-client.ts'
import { loadSettings, stackFolder } from '../settings.ts'
import { createApiLinks } from './api-links.ts'
import { createCatalogueLinks } from './catalogue-links.ts'
import type { LinkSource } from './link-source.ts'

/**
 * The API that CYGNET_API_URL names; else the catalogue and the store, where their settings are here or the local stack runs; else
 * the API that one is signed in to.
 */
export async function openLinkSource(): Promise<LinkSource> {
  const { readStack } = await import('../../infra/local/stack.ts')
  const environment = processEnvironment()
  const isSet = (name: string) => Boolean(environment[name] || environment[`${name}_FILE`])
  const hasCatalogue = isSet('CYGNET_DATABASE_URL') || readStack(stackFolder()) !== null
  if (isSet('CYGNET_API_URL') || !hasCatalogue) return createApiLinks(apiClient())
  const { createTapeContext } = await import('../../shared/runtime/context.ts')
  const destination = { write: (line: string) => process.stderr.write(line) }
  const config = await loadSettings()
  return createCatalogueLinks(await createTapeContext(config, 'cli', createLogger({ function: 'cli', level: 'error', destination })))
}
