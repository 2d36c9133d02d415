/** The API, for the commands that use it. */
import * as z from 'zod'
import { setting, text } from './setting.ts'

export const api = {
  url: setting(
    'CYGNET_API_URL',
    z.url().optional(),
    'address of the API, for the commands that use it (runs, get, link, recall, push)',
  ),
  token: setting(
    'CYGNET_API_TOKEN',
    text.optional(),
    'API token of the commands; absent: the login of `cygnet login`',
    true,
  ),
} as const
