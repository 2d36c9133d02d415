/** `cygnet migrate`: bring the catalogue's schema up to date, and make what SQL clients of before expect. */
import type { Command } from 'commander'
import type { Database } from '../../shared/database/connect.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { print, tell } from '../output.ts'
import { withContext } from '../settings.ts'

const EXAMPLES = `
Examples:
  cygnet migrate --views              cygnet_LNGS.Runlog, cygnet_LNF.Runlog, … for every tag that has runs
  cygnet migrate --views LNGS MAN     only these, also before they have any

A view has the 38 columns of the old logbook in their order. The account of the catalogue needs the right to make the databases
(GRANT ALL ON \`cygnet\\_%\`.* …); who may read them is granted by an administrator: GRANT SELECT ON \`cygnet_LNGS\`.* TO …
Grant no more than SELECT: what is changed through a view is changed in the catalogue's own table, until it writes that row anew.`

export function register(program: Command): void {
  program
    .command('migrate')
    .description("bring the catalogue's schema up to date (cygnet up does it by itself)")
    .option('--views [tags...]', 'also make a database with a view Runlog for every tag, for SQL clients')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { readonly views?: true | readonly string[] }) => {
      const [{ migrate }, { openDatabase, WITHOUT_LIMITS }] = await Promise.all([
        import('../../shared/database/migrate.ts'),
        import('../../shared/database/connect.ts'),
      ])
      await withContext([], async ({ config }) => {
        const database = openDatabase(config.database.url, 1, WITHOUT_LIMITS)
        try {
          const done = await migrate(database)
          print(done.length === 0 ? 'the schema is up to date' : `migrated: ${done.join(', ')}`)
          if (options.views !== undefined) await makeViews(database, options.views)
        } finally {
          await database.destroy()
        }
      })
    })
}

async function makeViews(database: Database, wanted: true | readonly string[]): Promise<void> {
  const { createRunlogView, tagsOfRunlog } = await import('../../shared/queries/runlog-views.ts')
  const tags = wanted === true ? await tagsOfRunlog(database) : wanted
  if (tags.length === 0) print('no tag has runs yet: name those to make views for, e.g. --views LNGS LNF MAN')
  let refused = 0
  for (const tag of tags)
    try {
      print(`view: ${await createRunlogView(database, tag)}.Runlog`)
    } catch (error) {
      // One tag must not keep those after it from their views.
      if (!(error instanceof InvalidInputError)) throw error
      refused++
      tell(`no view of ${tag}: ${error.message}`)
    }
  if (refused > 0) process.exitCode = 1
}
