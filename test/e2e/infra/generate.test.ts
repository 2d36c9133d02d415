/** The generated pages: all that a reader needs, and the same on every machine. */
import { Command } from 'commander'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { cliPage } from '../../../infra/generate/cli-page.ts'
import { configurationPage } from '../../../infra/generate/configuration-page.ts'

test('the configuration page tells what is required, what the defaults are and what is secret', () => {
  const page = configurationPage({
    NEEDED: z.string().meta({ description: 'must be there', secret: true }),
    COUNT: z.coerce.number().default(8).meta({ description: 'one | two', secret: false }),
    LIST: z
      .string()
      .transform((text) => text.split(','))
      .default(['a', 'b'])
      .meta({ description: 'several' }),
    PREFIX: z.string().default('').meta({ description: 'may be nothing' }),
    OPTIONAL: z.string().optional().meta({ description: 'may be absent' }),
  })
  expect(page.split('\n').filter((line) => line.startsWith('| `'))).toEqual([
    '| `NEEDED` | **required** | yes | must be there |',
    '| `COUNT` | `8` |  | one \\| two |',
    '| `LIST` | `a,b` |  | several |',
    '| `PREFIX` | empty |  | may be nothing |',
    '| `OPTIONAL` |  |  | may be absent |',
  ])
})

test('the command page shows every command of every depth, with the texts after its help, whatever the terminal', () => {
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
