/** The API, for commands that ask it. */
import * as z from 'zod'
import { setting, text } from './setting.ts'

export const api = {
  url: setting(
    'CYGNET_API_URL',
    z.url().optional(),
    'for commands without the catalogue at hand (runs, get, link, recall, push): address of its API',
  ),
  token: setting(
    'CYGNET_API_TOKEN',
    text.optional(),
    'who the commands are at that API: an API token; absent means the login of `cygnet login`',
    true,
  ),
} as const
