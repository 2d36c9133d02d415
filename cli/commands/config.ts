/** `cygnet config`: the settings in force. */
import type { Command } from 'commander'
import { redactedConfig } from '../../shared/config/config.ts'
import { list, print, printJson } from '../output.ts'
import { loadSettings } from '../settings.ts'

export function register(program: Command): void {
  program
    .command('config')
    .description('print the settings in force, with secrets masked (docs/configuration.md explains each)')
    .option('--json', 'one JSON object')
    .action(async (options: { json?: boolean }) => {
      const settings = redactedConfig(await loadSettings())
      if (options.json === true) printJson(settings)
      else
        print(
          list(
            Object.entries(settings).map(([name, value]) => [
              name,
              value === undefined ? null : String(value),
            ]),
          ),
        )
    })
}
