/** Opens the configured channels. */
import type { Config } from '../../config/config.ts'
import type { AlertChannel } from './channel.ts'

/** None where CYGNET_ALERTS is not set. */
export async function openChannels(_config: Config): Promise<readonly AlertChannel[]> {
  return []
}
