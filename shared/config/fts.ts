/** FTS, for the fts driver. */
import * as z from 'zod'
import { positive, setting, text } from './setting.ts'

export const fts = {
  url: setting(
    'CYGNET_FTS_URL',
    z.url().optional(),
    'fts: the FTS3 REST service, e.g. https://fts.example.org:8446',
  ),
  vo: setting(
    'CYGNET_FTS_VO',
    text.default('cygno'),
    'fts: the virtual organisation from which job ids are derived',
  ),
  archiveSeconds: setting(
    'CYGNET_FTS_ARCHIVE_SECONDS',
    positive.default(86_400),
    'fts: how long a job waits for the file to be on media',
  ),
} as const
