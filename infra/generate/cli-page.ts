/** docs/cli.md: the help of every command, as in a terminal. */
import type { Command } from 'commander'

/** Fixed, so that the page does not depend on the terminal in which it is generated. */
const WIDTH = 110

export function cliPage(program: Command): string {
  const sections = below(program).map(
    (command) => `## ${pathOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  )
  return `# The \`${program.name()}\` command

Generated from the command itself by \`npm run generate\`. From a checkout it is \`cli/cygnet\`.

\`\`\`text
${helpOf(program)}
\`\`\`

${sections.join('\n')}`
}

/** Every command below this one, groups before their commands. */
function below(command: Command): readonly Command[] {
  return command.commands.flatMap((subcommand) => [subcommand, ...below(subcommand)])
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** The help with the texts after it, without colours. */
function helpOf(command: Command): string {
  let help = ''
  command.configureOutput({
    writeOut: (text) => {
      help += text
    },
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  return help.trim()
}
