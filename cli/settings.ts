/**
 * Settings of the CLI: the environment first, then the settings of the running local stack.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, loadConfig, processEnvironment } from '../shared/config/config.ts'
import type { Capability, Context } from '../shared/context.ts'
import { InvalidInputError } from '../shared/errors.ts'
import { createLogger } from '../shared/log.ts'
import type { Opener } from '../shared/runtime/open-context.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))

/** The folder of the local stack. */
export function stackFolder(): string {
  return resolve(processEnvironment().CYGNET_FOLDER ?? `${PROJECT}/.cygnet`)
}

/**
 * @throws InvalidInputError, with what to do, when neither the environment nor a running stack has settings.
 */
export async function loadSettings(): Promise<Config> {
  const { readStack } = await import('../infra/local/stack.ts')
  const environment = processEnvironment()
  const stack = readStack(stackFolder())
  if (
    stack === null &&
    environment.CYGNET_DATABASE_URL === undefined &&
    environment.CYGNET_DATABASE_URL_FILE === undefined
  )
    throw new InvalidInputError(
      'no local stack is running and CYGNET_DATABASE_URL is not set; start one with: npm start',
    )
  return loadConfig({ ...stack, ...environment })
}

/** Never opened: the configuration requires an address of the database. */
export const NO_DATABASE = 'mysql://none@localhost/none'

const API_NAMES = ['CYGNET_API_URL', 'CYGNET_API_URL_FILE', 'CYGNET_API_TOKEN', 'CYGNET_API_TOKEN_FILE']

/**
 * Settings for commands that need only the store, so that they work on a DAQ machine without a database
 * address.
 * @throws InvalidInputError, with what to do, when neither the environment nor a running stack names a store.
 */
export async function loadStoreSettings(): Promise<Config> {
  const { readStack } = await import('../infra/local/stack.ts')
  const environment = processEnvironment()
  const stack = readStack(stackFolder())
  const { CYGNET_API_TOKEN: stackToken, ...stackSettings } = stack ?? {}
  // The token of the local stack is valid for its own API only.
  const isOtherApi = API_NAMES.some((name) => environment[name] !== undefined)
  const isSet = Object.entries(environment).some(
    ([name, value]) => name.startsWith('CYGNET_S3_') && value !== '',
  )
  if (stack === null && !isSet)
    throw new InvalidInputError(
      'no store is configured: set CYGNET_S3_ENDPOINT, CYGNET_S3_ACCESS_KEY_ID and CYGNET_S3_SECRET_ACCESS_KEY (CYGNET_S3_REGION alone for AWS), or start the local stack with: npm start',
    )
  const hasDatabase = environment.CYGNET_DATABASE_URL_FILE !== undefined
  return loadConfig({
    ...(hasDatabase ? {} : { CYGNET_DATABASE_URL: NO_DATABASE }),
    ...stackSettings,
    ...(stackToken === undefined || isOtherApi ? {} : { CYGNET_API_TOKEN: stackToken }),
    ...environment,
  })
}

/** Opens the capabilities, runs `work` with them and closes them. Ctrl-C aborts the signal. */
export async function withContext<Needs extends Capability, T>(
  needs: readonly Needs[],
  work: (context: Context<Needs>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { openContext, OPENERS } = await import('../shared/runtime/open-context.ts')
  const destination = { write: (line: string) => process.stderr.write(line) }
  // Problems of single copies are in the command's own report.
  const level = needs.some((need) => need === 'tape') ? 'error' : 'warn'
  const log = createLogger({ function: 'cli', level, destination })
  const openers = needs.map((need): Opener<Needs> => OPENERS[need])
  const context = await openContext(await loadSettings(), 'cli', openers, log)
  try {
    return await work(context, interruption())
  } finally {
    await context.close()
  }
}

/** A signal that aborts at the first Ctrl-C or SIGTERM; the second one ends the process immediately. */
export function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => {
      controller.abort(new InvalidInputError('interrupted'))
      process.once(name, () => process.exit(130))
    })
  return controller.signal
}
