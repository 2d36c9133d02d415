/** The settings of a push: only the store's are needed, so that a DAQ machine works without an address of the catalogue. */
import { type Config, loadConfig, processEnvironment } from '../../shared/config.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { stackFolder } from '../settings.ts'

/** Never opened; the configuration wants an address. */
const NO_DATABASE = 'mysql://none@localhost/none'

/** @throws InvalidInputError saying what to do when neither the environment nor a running stack names a store. */
export async function loadStoreSettings(): Promise<Config> {
  const { readStack } = await import('../../infra/local/stack.ts')
  const environment = processEnvironment()
  const stack = readStack(stackFolder())
  const isSet = Object.entries(environment).some(([name, value]) => name.startsWith('CYGNET_S3_') && value !== '')
  if (stack === null && !isSet)
    throw new InvalidInputError(
      'no store is configured: set CYGNET_S3_ENDPOINT, CYGNET_S3_ACCESS_KEY_ID and CYGNET_S3_SECRET_ACCESS_KEY (CYGNET_S3_REGION alone for AWS), or start the local stack with: npm start',
    )
  const hasDatabase = environment.CYGNET_DATABASE_URL_FILE !== undefined
  return loadConfig({ ...(hasDatabase ? {} : { CYGNET_DATABASE_URL: NO_DATABASE }), ...stack, ...environment })
}
