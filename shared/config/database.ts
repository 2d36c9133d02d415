/** The catalogue. */
import * as z from 'zod'
import { positive, setting } from './setting.ts'

export const database = {
  url: setting(
    'CYGNET_DATABASE_URL',
    z.url({ protocol: /^(mysql|mariadb)$/ }),
    'MariaDB of the catalogue: mysql://user:password@host:port/database',
    true,
  ),
  connections: setting(
    'CYGNET_DATABASE_CONNECTIONS',
    positive.default(8),
    'connections one process opens to the catalogue, at most',
  ),
} as const
