/** The queues. */
import * as z from 'zod'
import { setting, text } from './setting.ts'

export const queue = {
  endpoint: setting('CYGNET_SQS_ENDPOINT', z.url().optional(), 'SQS endpoint; absent: AWS'),
  region: setting('CYGNET_SQS_REGION', text.default('us-east-1'), 'SQS region'),
  accessKeyId: setting(
    'CYGNET_SQS_ACCESS_KEY_ID',
    text.optional(),
    'SQS access key; absent: the AWS default chain',
  ),
  secretAccessKey: setting('CYGNET_SQS_SECRET_ACCESS_KEY', text.optional(), 'SQS secret key', true),
  prefix: setting(
    'CYGNET_QUEUE_PREFIX',
    z.string().default(''),
    'prefix of every queue name, so that several installations can share one account',
  ),
} as const
