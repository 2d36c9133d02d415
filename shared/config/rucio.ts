/** Rucio, for the driver of that name. */
import * as z from 'zod'
import { setting, text } from './setting.ts'

export const rucio = {
  url: setting('CYGNET_RUCIO_URL', z.url().optional(), 'rucio: the Rucio server'),
  account: setting('CYGNET_RUCIO_ACCOUNT', text.optional(), 'rucio: the account that owns the rules'),
  sourceRse: setting(
    'CYGNET_RUCIO_SOURCE_RSE',
    text.optional(),
    'rucio: the RSE that is our store, where replicas are registered',
  ),
  tapeRse: setting('CYGNET_RUCIO_TAPE_RSE', text.optional(), 'rucio: the RSE of the tape'),
  sourcePrefix: setting(
    'CYGNET_RUCIO_SOURCE_PREFIX',
    text.optional(),
    'rucio: address of our store as the source RSE knows it, put before <bucket>/<key>; absent for a deterministic RSE',
  ),
} as const
