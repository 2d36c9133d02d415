/** The catalogue's database. */
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
    'most connections to the catalogue per process',
  ),
} as const
