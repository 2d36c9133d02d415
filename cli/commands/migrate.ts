/** `cygnet migrate`: bring the catalogue's schema up to date. */
import type { Command } from 'commander'
import { print } from '../output.ts'
import { withContext } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('migrate')
    .description("bring the catalogue's schema up to date (cygnet up does it by itself)")
    .action(async () => {
      const { migrate } = await import('../../shared/catalogue/migrate.ts')
      const done = await withContext((context) => migrate(context.database))
      print(done.length === 0 ? 'the schema is up to date' : `migrated: ${done.join(', ')}`)
    })
}
