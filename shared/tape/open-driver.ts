/**
 * The driver that the settings ask for. Each is loaded only when it is chosen, so that a function starts with
 * one, not with four.
 */
import type { Config } from '../config/config.ts'
import { InvalidInputError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { TapeDriver } from './driver.ts'
import type { TokenSource } from './tokens/token-source.ts'

/**
 * Null when no place for second copies is configured. @throws InvalidInputError naming every setting that is
 * missing.
 */
export async function openTapeDriver(config: Config, log: Logger): Promise<TapeDriver | null> {
  switch (config.CYGNET_TAPE_DRIVER) {
    case 'none':
      return null
    case 'directory': {
      const [folder] = needed(config, 'CYGNET_TAPE_DIRECTORY')
      const { createDirectoryDriver } = await import('./directory/directory.ts')
      return createDirectoryDriver({ folder })
    }
    case 'webdav': {
      const [rootUrl] = needed(config, 'CYGNET_TAPE_URL')
      return await openWebdav(config, rootUrl, await openTokens(config, log), log)
    }
    case 'fts': {
      const [url, rootUrl] = needed(config, 'CYGNET_FTS_URL', 'CYGNET_TAPE_URL')
      const { createFtsDriver } = await import('./fts/fts.ts')
      const tokens = await openTokens(config, log)
      return createFtsDriver({
        url,
        tokens,
        caFile: config.CYGNET_TAPE_CA_FILE,
        vo: config.CYGNET_FTS_VO,
        archiveSeconds: config.CYGNET_FTS_ARCHIVE_SECONDS,
        destination: await openWebdav(config, rootUrl, tokens, log),
      })
    }
    case 'rucio': {
      const [url, account, sourceRse, tapeRse] = needed(
        config,
        'CYGNET_RUCIO_URL',
        'CYGNET_RUCIO_ACCOUNT',
        'CYGNET_RUCIO_SOURCE_RSE',
        'CYGNET_RUCIO_TAPE_RSE',
      )
      const { createRucioDriver } = await import('./rucio/rucio.ts')
      const tokens = await openTokens(config, log)
      return createRucioDriver({
        url,
        tokens,
        caFile: config.CYGNET_TAPE_CA_FILE,
        account,
        sourceRse,
        sourcePrefix: config.CYGNET_RUCIO_SOURCE_PREFIX,
        tapeRse,
        destination:
          config.CYGNET_TAPE_URL === undefined
            ? undefined
            : await openWebdav(config, config.CYGNET_TAPE_URL, tokens, log),
      })
    }
  }
}

async function openWebdav(
  config: Config,
  rootUrl: string,
  token: TokenSource,
  log: Logger,
): Promise<TapeDriver> {
  const { createWebdavDriver } = await import('./webdav/webdav.ts')
  return createWebdavDriver({
    rootUrl,
    caFile: config.CYGNET_TAPE_CA_FILE,
    token,
    thirdParty: config.CYGNET_TAPE_THIRD_PARTY,
    tapeRest: config.CYGNET_TAPE_REST,
    copySeconds: config.CYGNET_TAPE_COPY_SECONDS,
    log,
  })
}

async function openTokens(config: Config, log: Logger): Promise<TokenSource> {
  const { createTokenSource, tokenOptions } = await import('./tokens/tokens.ts')
  return createTokenSource({ ...tokenOptions(config), log })
}

type Values<Names extends readonly (keyof Config)[]> = {
  readonly [At in keyof Names]: NonNullable<Config[Names[At]]>
}

/** The values of these settings. @throws InvalidInputError naming all that are not set. */
function needed<const Names extends readonly (keyof Config)[]>(
  config: Config,
  ...names: Names
): Values<Names> {
  const missing = names.filter((name) => config[name] === undefined)
  if (missing.length > 0)
    throw new InvalidInputError(
      `CYGNET_TAPE_DRIVER is ${config.CYGNET_TAPE_DRIVER}: ${missing.join(', ')} must be set as well`,
    )
  return names.map((name) => config[name]) as unknown as Values<Names>
}
