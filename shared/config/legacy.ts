/** The endpoint of the old tools. */
import * as z from 'zod'
import { list, setting } from './setting.ts'

export const legacy = {
  tables: setting(
    'CYGNET_LEGACY_TABLES',
    list.default(['Runlog']),
    'tables that the endpoint of the old tools shows (cygno_sql_query.php?db=...)',
  ),
  sites: setting(
    'CYGNET_LEGACY_SITES',
    z.string().default('lnf=LNF,LNF=LNF,man=MAN,MAN=MAN,=LNGS'),
    'the tag of each site of the old tools; the empty name is for all others',
  ),
} as const
