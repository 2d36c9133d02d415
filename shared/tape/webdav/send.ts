/** The endpoint itself sends a file to a presigned link: a recalled run does not pass through us. */
import { TransientError } from '../../errors.ts'
import type { TapeFile } from '../driver.ts'
import type { Endpoint } from './endpoint.ts'
import { nameInUse } from './media.ts'
import { thirdPartyCopy, throwMarked } from './third-party.ts'

/**
 * As TapeDriver.send. An endpoint that fails before the first byte counts as `unsupported` for some minutes.
 */
export async function sendFile(
  endpoint: Endpoint,
  file: TapeFile,
  putUrl: string,
  signal: AbortSignal,
): Promise<'sent' | 'unsupported'> {
  const url = endpoint.places.url(file.name)
  if (!endpoint.thirdParty.isWorthTrying('push')) return 'unsupported'
  const name = await nameInUse(endpoint, file, signal)
  if (name === null) throw new TransientError(`the tape endpoint has no ${file.name}`, { missing: true })
  const { silenceSeconds, progressSeconds } = endpoint.limits
  const outcome = await thirdPartyCopy(
    endpoint.http,
    {
      direction: 'push',
      url: name === file.name ? url : endpoint.places.url(name),
      link: putUrl,
      what: `sending ${file.name}`,
      silenceMs: silenceSeconds * 1000,
    },
    { progressMs: progressSeconds * 1000, now: endpoint.now },
    signal,
  ).catch(throwMarked)
  if (outcome.kind === 'success') return 'sent'
  const reason = outcome.kind === 'exists' ? 'the store already has an object there' : outcome.reason
  if (outcome.kind === 'unsupported' || (outcome.kind === 'failure' && outcome.bytesMoved === 0)) {
    endpoint.log?.warn({ name: file.name, reason }, 'tape-third-party-failed')
    endpoint.thirdParty.failed('push')
    return 'unsupported'
  }
  throw new TransientError(`sending ${file.name} failed: ${reason}`, { thirdParty: true })
}
