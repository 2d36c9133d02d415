/**
 * Opens the configured tape driver. Each driver is loaded only when it is chosen, so that a function starts
 * with one instead of four.
 */
import type { Config } from '../config/config.ts'
import { InvalidInputError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { TapeDriver } from './driver.ts'
import type { TapeRestMemory } from './tape-rest.ts'
import type { TokenSource } from './tokens/token-source.ts'

/** Null when no tape endpoint is configured. @throws InvalidInputError naming every missing setting. */
export async function openTapeDriver(
  config: Config,
  log: Logger,
  memory?: TapeRestMemory,
): Promise<TapeDriver | null> {
  const webdav = (rootUrl: string, token: TokenSource) => openWebdav(config, rootUrl, token, log, memory)
  switch (config.tape.driver) {
    case 'none':
      return null
    case 'directory': {
      const { CYGNET_TAPE_DIRECTORY: folder } = needed(config, {
        CYGNET_TAPE_DIRECTORY: config.tape.directory,
      })
      const { createDirectoryDriver } = await import('./directory/directory.ts')
      return createDirectoryDriver({ folder })
    }
    case 'webdav': {
      const { CYGNET_TAPE_URL: rootUrl } = needed(config, { CYGNET_TAPE_URL: config.tape.url })
      return await webdav(rootUrl, await openTokens(config, log))
    }
    case 'fts': {
      const { CYGNET_FTS_URL: url, CYGNET_TAPE_URL: rootUrl } = needed(config, {
        CYGNET_FTS_URL: config.fts.url,
        CYGNET_TAPE_URL: config.tape.url,
      })
      const { createFtsDriver } = await import('./fts/fts.ts')
      const tokens = await openTokens(config, log)
      return createFtsDriver({
        url,
        tokens,
        caFile: config.tape.caFile,
        vo: config.fts.vo,
        archiveSeconds: config.fts.archiveSeconds,
        destination: await webdav(rootUrl, tokens),
      })
    }
    case 'rucio': {
      const { rucio } = config
      const {
        CYGNET_RUCIO_URL: url,
        CYGNET_RUCIO_ACCOUNT: account,
        CYGNET_RUCIO_SOURCE_RSE: sourceRse,
        CYGNET_RUCIO_TAPE_RSE: tapeRse,
      } = needed(config, {
        CYGNET_RUCIO_URL: rucio.url,
        CYGNET_RUCIO_ACCOUNT: rucio.account,
        CYGNET_RUCIO_SOURCE_RSE: rucio.sourceRse,
        CYGNET_RUCIO_TAPE_RSE: rucio.tapeRse,
      })
      const { createRucioDriver } = await import('./rucio/rucio.ts')
      const tokens = await openTokens(config, log)
      return createRucioDriver({
        url,
        tokens,
        caFile: config.tape.caFile,
        account,
        sourceRse,
        sourcePrefix: config.rucio.sourcePrefix,
        tapeRse,
        destination: config.tape.url === undefined ? undefined : await webdav(config.tape.url, tokens),
      })
    }
  }
}

async function openWebdav(
  config: Config,
  rootUrl: string,
  token: TokenSource,
  log: Logger,
  tapeRestMemory: TapeRestMemory | undefined,
): Promise<TapeDriver> {
  const { createWebdavDriver } = await import('./webdav/webdav.ts')
  return createWebdavDriver({
    rootUrl,
    caFile: config.tape.caFile,
    token,
    thirdParty: config.tape.thirdParty,
    tapeRest: config.tape.rest,
    tapeRestMemory,
    copySeconds: config.tape.copySeconds,
    log,
  })
}

async function openTokens(config: Config, log: Logger): Promise<TokenSource> {
  const { createTokenSource, tokenOptions } = await import('./tokens/tokens.ts')
  return createTokenSource({ ...tokenOptions(config), log })
}

/** The values of these settings. @throws InvalidInputError naming every missing one. */
function needed<T extends Readonly<Record<string, string | undefined>>>(
  { tape: { driver } }: Config,
  settings: T,
): { readonly [Name in keyof T]: NonNullable<T[Name]> } {
  const missing = Object.keys(settings).filter((variable) => settings[variable] === undefined)
  if (missing.length > 0)
    throw new InvalidInputError(`CYGNET_TAPE_DRIVER is ${driver}: ${missing.join(', ')} must be set as well`)
  return settings as { readonly [Name in keyof T]: NonNullable<T[Name]> }
}
