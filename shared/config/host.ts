/** The environment of a process. */
import * as z from 'zod'
import { digits, setting, text } from './setting.ts'

export const host = {
  folder: setting(
    'CYGNET_FOLDER',
    text.optional(),
    'folder of the local stack (data, logs, addresses); absent: .cygnet in the project',
  ),
  logFolder: setting(
    'CYGNET_LOG_FOLDER',
    text.optional(),
    'folder with the log files of the functions, shown on the pages of runs; absent if logs are stored elsewhere',
  ),
  listenPort: setting(
    'CYGNET_LISTEN_PORT',
    digits.pipe(z.number().min(1).max(65_535)).default(8080),
    'port of a function in a container',
  ),
  listenAddress: setting(
    'CYGNET_LISTEN_ADDRESS',
    text.optional(),
    'address of a function in a container; absent: all addresses',
  ),
  logLevel: setting(
    'CYGNET_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'lowest level of log lines that are written',
  ),
} as const
