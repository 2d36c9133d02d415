/** docs/configuration.md: every setting with its default, from the schema that checks it. */
import type * as z from 'zod'

export function configurationPage(variables: Readonly<Record<string, z.ZodType>>): string {
  const rows = Object.entries(variables).map(([name, schema]) => {
    const { description = '', secret } = schema.meta() ?? {}
    return `| \`${name}\` | ${defaultOf(schema)} | ${secret === true ? 'yes' : ''} | ${cell(description)} |`
  })
  return `# Configuration

Generated from shared/config/config.ts by \`npm run generate\`. Every process reads these variables from its environment. Any of them may be
given as \`NAME_FILE\` instead, the path of a file that holds the value: that is how OpenFaaS, Knative and Docker hand over secrets. An empty
variable counts as absent. \`cygnet config\` shows what is in force, secrets as stars.

| variable | default | secret | meaning |
|---|---|---|---|
${rows.join('\n')}
`
}

/** What the schema makes of an absent variable. */
function defaultOf(schema: z.ZodType): string {
  const absent = schema.safeParse(undefined)
  if (!absent.success) return '**required**'
  if (absent.data === undefined) return ''
  const text = Array.isArray(absent.data) ? absent.data.join(',') : String(absent.data)
  return text === '' ? 'empty' : `\`${cell(text)}\``
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
