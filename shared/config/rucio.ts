/** Rucio, for the rucio driver. */
import * as z from 'zod'
import { setting, text } from './setting.ts'

export const rucio = {
  url: setting('CYGNET_RUCIO_URL', z.url().optional(), 'rucio: the Rucio server'),
  account: setting('CYGNET_RUCIO_ACCOUNT', text.optional(), 'rucio: the account that owns the rules'),
  sourceRse: setting(
    'CYGNET_RUCIO_SOURCE_RSE',
    text.optional(),
    'rucio: the RSE of our store, where replicas are registered',
  ),
  tapeRse: setting('CYGNET_RUCIO_TAPE_RSE', text.optional(), 'rucio: the RSE of the tape system'),
  sourcePrefix: setting(
    'CYGNET_RUCIO_SOURCE_PREFIX',
    text.optional(),
    'rucio: address of our store at the source RSE, put before <bucket>/<key>; absent for a deterministic RSE',
  ),
} as const
