/** The generated pages are complete, and the same on every machine. */
import { Command } from 'commander'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { cliPage } from '../../../infra/generate/cli-page.ts'
import { configurationPage } from '../../../infra/generate/configuration-page.ts'
import { setting } from '../../../shared/config/setting.ts'

test('the configuration page states which settings are required, which are secret, and the defaults', () => {
  const several = z
    .string()
    .transform((text) => text.split(','))
    .default(['a', 'b'])
  const page = configurationPage({
    one: {
      needed: setting('CYGNET_NEEDED', z.string(), 'must be there', true),
      count: setting('CYGNET_COUNT', z.coerce.number().default(8), 'one | two'),
    },
    two: {
      list: setting('CYGNET_LIST', several, 'several'),
      prefix: setting('CYGNET_PREFIX', z.string().default(''), 'may be nothing'),
      optional: setting('CYGNET_OPTIONAL', z.string().optional(), 'may be absent'),
    },
  })
  expect(page.match(/^## .*$/gm)).toEqual(['## one', '## two'])
  expect(page.split('\n').filter((line) => line.startsWith('| `'))).toEqual([
    '| `CYGNET_NEEDED` | **required** | yes | must be there |',
    '| `CYGNET_COUNT` | `8` |  | one \\| two |',
    '| `CYGNET_LIST` | `a,b` |  | several |',
    '| `CYGNET_PREFIX` | empty |  | may be nothing |',
    '| `CYGNET_OPTIONAL` |  |  | may be absent |',
  ])
})

test('the command page has every command of every depth, with the texts after its help, whatever the terminal', () => {
  const program = () => {
    const command = new Command('tool').addHelpText('after', '\nExit codes: 0.')
    const group = command.command('dead').description('a group')
    group
      .command('retry')
      .option('--all', `a long text that would be wrapped elsewhere ${'word '.repeat(20)}`)
    return command
  }
  const page = cliPage(program())
  expect(page).toContain('Exit codes: 0.')
  expect(page.match(/^## .*$/gm)).toEqual(['## tool dead', '## tool dead retry'])
  const columns = process.stdout.columns
  process.stdout.columns = 30
  try {
    expect(cliPage(program())).toBe(page)
  } finally {
    process.stdout.columns = columns
  }
})
