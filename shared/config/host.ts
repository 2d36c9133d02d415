/** Where a process runs. */
import * as z from 'zod'
import { digits, setting, text } from './setting.ts'

export const host = {
  folder: setting(
    'CYGNET_FOLDER',
    text.optional(),
    'folder of the local stack (data, logs, addresses); absent means .cygnet in the project',
  ),
  logFolder: setting(
    'CYGNET_LOG_FOLDER',
    text.optional(),
    'folder with the log files of the functions, shown on the pages of runs; absent where logs are elsewhere',
  ),
  listenPort: setting(
    'CYGNET_LISTEN_PORT',
    digits.pipe(z.number().min(1).max(65_535)).default(8080),
    'port on which a function in a container answers',
  ),
  listenAddress: setting(
    'CYGNET_LISTEN_ADDRESS',
    text.optional(),
    'address on which it does; absent means all of the container',
  ),
  logLevel: setting(
    'CYGNET_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'least severe log line written',
  ),
} as const
