/** docs/configuration.md: every setting with its default, from the schema that validates it. */
import type * as z from 'zod'
import type { Setting } from '../../shared/config/setting.ts'

export function configurationPage(
  concerns: Readonly<Record<string, Readonly<Record<string, Setting>>>>,
): string {
  const rowOf = ({ variable, schema, description, secret }: Setting) =>
    `| \`${variable}\` | ${defaultOf(schema)} | ${secret ? 'yes' : ''} | ${cell(description)} |`
  const sections = Object.entries(concerns).map(
    ([concern, settings]) => `## ${concern}

| variable | default | secret | meaning |
|---|---|---|---|
${Object.values(settings).map(rowOf).join('\n')}
`,
  )
  return `# Configuration

Generated from shared/config/ by \`npm run generate\`. Every process reads these variables from its environment. Any of them may be
given as \`NAME_FILE\` instead, the path of a file with the value, as OpenFaaS, Knative and Docker provide secrets. An empty variable counts as
absent. \`cygnet config\` prints the settings in force, with secrets masked.

${sections.join('\n')}`
}

/** The value of the schema for an absent variable. */
function defaultOf(schema: z.ZodType): string {
  const absent = schema.safeParse(undefined)
  if (!absent.success) return '**required**'
  if (absent.data === undefined) return ''
  const text = textOf(absent.data)
  return text === '' ? 'empty' : `\`${cell(text)}\``
}

/** The value as text of the variable. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',')
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([name, part]) => `${name}=${part}`)
      .join(',')
  return String(value)
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
