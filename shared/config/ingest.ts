/** Notifications and extraction. */
import * as z from 'zod'
import { positive, setting, text } from './setting.ts'

export const ingest = {
  maxEventBytes: setting(
    'CYGNET_MAX_EVENT_BYTES',
    positive.default(256 * 1024 * 1024),
    'largest MIDAS event accepted, bytes',
  ),
  igzip: setting(
    'CYGNET_IGZIP',
    z.enum(['auto', 'never']).default('never'),
    "auto: decompress gzip with the igzip program where it is installed; slower than Node's own if the pipe costs more than it saves (docs/benchmarks.md)",
  ),
  notificationToken: setting(
    'CYGNET_NOTIFICATION_TOKEN',
    text.optional(),
    'token that stores must send to receive-notification: MinIO as bearer, Ceph as OpaqueData of the topic; letters and digits',
    true,
  ),
  notificationBodyBytes: setting(
    'CYGNET_NOTIFICATION_BODY_BYTES',
    positive.default(1024 * 1024),
    'largest notification accepted, bytes',
  ),
} as const
