/** docs/messages.md: the messages of each queue, from the schemas that encode and parse them. */
import * as z from 'zod'
import { ALERT_RULES, type AlertEnd } from '../../shared/messages/alert-rules.ts'
import type { QueueDescription } from '../../shared/messages/format.ts'
import { REQUEST_FORMATS } from '../../shared/messages/requests.ts'
import { runs } from '../../shared/messages/runs.ts'
import type { QueueName } from '../../shared/queue/queues.ts'

const FORMATS: Readonly<Record<QueueName, QueueDescription>> = { runs, ...REQUEST_FORMATS }

const ENDS: Readonly<Record<AlertEnd, string>> = {
  condition: 'it has ended',
  acknowledgement: 'acknowledged',
  'at-once': 'reported',
}

export function messagesPage(): string {
  const rules = Object.entries(ALERT_RULES).map(
    ([rule, { severities, ends, runbook, meaning }]) =>
      `| \`${rule}\` | ${severities.join(' or ')} | ${ENDS[ends]} | ${meaning} | [what to do](runbook.md#${runbook}) |`,
  )
  return `# Messages of the queues

Generated from shared/messages/ by \`npm run generate\`. Every message is one JSON object. Delivery is at least once: a reader recognises
repeated work by \`request\`. A message is a wake-up, the row is the work ([ADR 13](adr/0013-the-row-is-the-work.md)).

${Object.entries(FORMATS).map(queueSection).join('\n')}
## The rules of alerts

An alert lasts until the condition has ended, which its rule finds; or, where it may have no end, until a person
acknowledges it. Information is over when it was reported.

| rule | severity | lasts until | when | runbook |
|---|---|---|---|---|
${rules.join('\n')}
`
}

const queueSection = ([queue, format]: [string, QueueDescription]) => `## \`${queue}\`

${format.purpose}

- Writer: ${format.writer}.
- Reader: ${format.reader}.
- The reader can rely on: ${format.promise}

| field | type | meaning |
|---|---|---|
${fieldRows('', z.toJSONSchema(format.schema)).join('\n')}

\`\`\`json
${JSON.stringify(JSON.parse(format.example), null, 2)}
\`\`\`
`

type JsonSchema = z.core.JSONSchema.BaseSchema

/** A row per field; those of objects within follow as \`files[].key\`. */
function fieldRows(prefix: string, { properties = {}, required = [] }: JsonSchema): readonly string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    if (typeof schema === 'boolean') return []
    const path = prefix + name
    const absent = required.includes(name) ? '' : ', may be absent'
    const { inner, suffix } = innerObject(schema)
    return [
      `| \`${path}\` | ${typeName(schema)}${absent} | ${schema.description ?? ''} |`,
      ...fieldRows(`${path}${suffix}.`, inner),
    ]
  })
}

function innerObject(schema: JsonSchema): { readonly inner: JsonSchema; readonly suffix: string } {
  const [first = schema] = schema.anyOf ?? []
  const { items } = first as JsonSchema
  return items === undefined
    ? { inner: first as JsonSchema, suffix: '' }
    : { inner: items as JsonSchema, suffix: '[]' }
}

function typeName(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => typeName(one as JsonSchema)).join(' or ')
  if (schema.const !== undefined) return `\`${schema.const}\``
  // The rules of alerts have a separate table.
  if (schema.enum !== undefined && schema.enum.length <= 10)
    return schema.enum.map((value) => `\`${value}\``).join(', ')
  return String(schema.type ?? 'string')
}
