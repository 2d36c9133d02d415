/** `cygnet migrate`: brings the catalogue's schema up to date, and makes views for existing SQL clients. */
import type { Command } from 'commander'
import type { Context } from '../../shared/context.ts'
import type { Database } from '../../shared/database/connect.ts'
import { InvalidInputError } from '../../shared/errors.ts'
import { auditedCommand } from '../audited.ts'
import { print, printToStderr } from '../output.ts'
import { withContext } from '../settings.ts'

const EXAMPLES = `
Examples:
  cygnet migrate --views              cygnet_LNGS.Runlog, cygnet_LNF.Runlog, … for every tag that has runs
  cygnet migrate --views LNGS MAN     only these, also before they have runs

A view has the 38 columns of the old logbook in their order. The account of the catalogue needs the right to create the databases
(GRANT ALL ON \`cygnet\\_%\`.* …). An administrator grants read access: GRANT SELECT ON \`cygnet_LNGS\`.* TO …
Grant only SELECT: a change through a view changes the catalogue's own table, until the catalogue writes that row again.`

export function register(program: Command): void {
  program
    .command('migrate')
    .description("bring the catalogue's schema up to date (cygnet up does this automatically)")
    .option('--views [tags...]', 'also make a database with a view Runlog for every tag, for SQL clients')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { readonly views?: true | readonly string[] }) => {
      const { openDatabase, WITHOUT_LIMITS } = await import('../../shared/database/connect.ts')
      await withContext([], async ({ config, log, now }) => {
        const database = openDatabase(config.database.url, 1, WITHOUT_LIMITS)
        try {
          const audit = { database, log, now }
          const done = await migrateAudited(audit)
          print(done.length === 0 ? 'the schema is up to date' : `migrated: ${done.join(', ')}`)
          const { views } = options
          if (views === undefined) return
          const tags = views === true ? 'all tags' : views.join(', ')
          await auditedCommand(audit, 'operate', `views of the Runlog for ${tags}`, () =>
            makeViews(database, views),
          )
        } finally {
          await database.destroy()
        }
      })
    })
}

/** The audit is a table of the schema: where it is missing, the use is recorded right after. */
async function migrateAudited(
  audit: Pick<Context<'database'>, 'database' | 'log' | 'now'>,
): Promise<readonly string[]> {
  const { hasAudit, migrate, pendingMigrations } = await import('../../shared/database/migrate.ts')
  const { database } = audit
  const pending = await pendingMigrations(database)
  const recorded = <T>(work: () => Promise<T>) =>
    auditedCommand(audit, 'operate', `schema: ${pending.join(', ')}`, work)
  if (pending.length === 0) return await migrate(database)
  if (hasAudit(pending)) return await recorded(() => migrate(database))
  const done = await migrate(database)
  return await recorded(async () => done)
}

async function makeViews(database: Database, wanted: true | readonly string[]): Promise<void> {
  const { createRunlogView, tagsOfRunlog } = await import('../../shared/queries/runlog-views.ts')
  const tags = wanted === true ? await tagsOfRunlog(database) : wanted
  if (tags.length === 0) print('no tag has runs yet: name the tags, e.g. --views LNGS LNF MAN')
  let refused = 0
  for (const tag of tags)
    try {
      print(`view: ${await createRunlogView(database, tag)}.Runlog`)
    } catch (error) {
      // The views of the other tags are still made.
      if (!(error instanceof InvalidInputError)) throw error
      refused++
      printToStderr(`no view of ${tag}: ${error.message}`)
    }
  if (refused > 0) process.exitCode = 1
}
