/** The store that files are pushed to: with credentials for the store, or with only an API token. */
import type { S3Client } from '@aws-sdk/client-s3'
import { type Config, loadConfig, processEnvironment } from '../../shared/config/config.ts'
import { loadStoreSettings, NO_DATABASE } from '../settings.ts'
import { createPushClient } from './push.ts'
import { hasApiToken, openRemoteStore, type RemoteStore } from './remote-store.ts'

export interface PushStore {
  readonly s3: S3Client
  /** The name of the store in stored state: its host. */
  readonly name: string
  /** The bucket for runs when none is given. */
  readonly bucket: string
  /** Present when requests are signed by the API. */
  readonly remote: RemoteStore | null
  close(): void
}

/** Loaded once; `open` may be repeated while the API does not answer. */
export interface PushSettings {
  readonly config: Config
  /** The name of the destination of `open` in stored state; known without a network. */
  readonly place: string
  /** @throws InvalidInputError when the API refuses the token, TransientError when it does not answer. */
  open(signal: AbortSignal): Promise<PushStore>
}

/**
 * Credentials for the store in the environment go first, then an API token, then the running local stack.
 * @throws InvalidInputError, with what to set, when no store is configured.
 */
export async function loadPushSettings({
  newTag,
}: {
  /** Whether the API may be asked to sign for a tag that it does not know. */
  readonly newTag: boolean
}): Promise<PushSettings> {
  const environment = processEnvironment()
  const isSet = (name: string) => Boolean(environment[name] || environment[`${name}_FILE`])
  if (isSet('CYGNET_API_URL') && isSet('CYGNET_API_TOKEN') && !isSet('CYGNET_S3_ACCESS_KEY_ID')) {
    const config = loadConfig({
      ...(isSet('CYGNET_DATABASE_URL') ? {} : { CYGNET_DATABASE_URL: NO_DATABASE }),
      ...environment,
    })
    if (hasApiToken(config))
      return {
        config,
        place: `api ${config.api.url}`,
        open: (signal) => openThroughApi(config, signal, newTag),
      }
  }
  const config = await loadStoreSettings()
  return {
    config,
    place: nameOf(config.store.endpoint),
    open: async () => openDirectly(config),
  }
}

/** Without the port: a local store has another port at every start. */
const nameOf = (endpoint: string | undefined) => (endpoint === undefined ? 'aws' : new URL(endpoint).hostname)

function openDirectly(config: Config): PushStore {
  const s3 = createPushClient(config)
  const bucket = config.store.rawBuckets[0] ?? 'cygno-data'
  return { s3, name: nameOf(config.store.endpoint), bucket, remote: null, close: () => s3.destroy() }
}

async function openThroughApi(config: Config, signal: AbortSignal, newTag: boolean): Promise<PushStore> {
  const remote = await openRemoteStore(config, signal, newTag)
  const { s3, endpoint, buckets } = remote
  return {
    s3,
    name: nameOf(endpoint),
    bucket: buckets[0] ?? 'cygno-data',
    remote,
    close: () => remote.close(),
  }
}
