/**
 * Whether a command asks the catalogue's API or reads the catalogue itself. One rule for all commands that
 * analysts use: an API that is named goes first, then the settings of the catalogue where they are here, then
 * the API that one is signed in to.
 */
import { Option } from 'commander'
import { processEnvironment } from '../shared/config/config.ts'
import { type ApiClient, apiClient } from './api/client.ts'
import { stackFolder } from './settings.ts'

/** `catalogue`: the settings of cli/settings.ts lead to the database, the store and the queues. */
export type CatalogueWay = { readonly kind: 'api'; readonly api: ApiClient } | { readonly kind: 'catalogue' }

/** @param named what --api says: goes before CYGNET_API_URL. */
export async function catalogueWay(named?: string): Promise<CatalogueWay> {
  const environment = processEnvironment()
  const isSet = (name: string) => Boolean(environment[name] || environment[`${name}_FILE`])
  const isApiNamed = named !== undefined || isSet('CYGNET_API_URL') || isSet('CYGNET_API_TOKEN')
  if (isApiNamed || !(isSet('CYGNET_DATABASE_URL') || (await isStackRunning())))
    return { kind: 'api', api: apiClient(named) }
  return { kind: 'catalogue' }
}

async function isStackRunning(): Promise<boolean> {
  const { readStack } = await import('../infra/local/stack.ts')
  return readStack(stackFolder()) !== null
}

export const apiOption = () =>
  new Option('--api <url>', "the catalogue's API to ask (default: CYGNET_API_URL)")

export const WAY_HELP = `
With --api, CYGNET_API_URL or CYGNET_API_TOKEN the catalogue's API is asked. Else the catalogue itself, where CYGNET_DATABASE_URL is
set or the local stack runs. Else the API that one is signed in to: \`cygnet login\`.`
