/** Describes schemas of the OpenAPI document in words, and builds an example of each. Pure. */

/** The fields of a schema that are used; documents of version 3.1 use JSON Schema. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly description?: string
  readonly example?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
}

export interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean
  readonly description?: string
  readonly schema?: Schema
}

export type Content = Readonly<Record<string, { readonly schema?: Schema }>>

export interface Operation {
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly description?: string
  readonly security?: readonly unknown[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean; readonly content: Content }
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>
}

export interface Named {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

export type Schemas = Readonly<Record<string, Schema>>

/** The name behind `#/components/schemas/Run`. */
const nameOfRef = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1)

/** A piece of a type in words: text, or the name of a schema described elsewhere. */
export type TypePart = string | { readonly schema: string }

/** `integer`, `array of Run`, `"json" or "csv"`. */
export function typeParts(schema: Schema): readonly TypePart[] {
  if (schema.$ref !== undefined) return [{ schema: nameOfRef(schema.$ref) }]
  if (schema.const !== undefined) return [JSON.stringify(schema.const)]
  if (schema.enum !== undefined) return [schema.enum.map((value) => JSON.stringify(value)).join(' or ')]
  const choices = schema.anyOf ?? schema.oneOf
  if (choices !== undefined)
    return choices.flatMap((choice, index) =>
      index === 0 ? typeParts(choice) : [' or ', ...typeParts(choice)],
    )
  if (schema.allOf !== undefined) return schema.allOf.flatMap(typeParts)
  const types = [schema.type ?? 'anything'].flat()
  const texts = types.map((type): readonly TypePart[] => {
    if (type === 'array') return ['array of ', ...typeParts(schema.items ?? {})]
    if (type === 'object' && typeof schema.additionalProperties === 'object')
      return ['object of ', ...typeParts(schema.additionalProperties)]
    if (schema.format !== undefined && type !== 'null') return [`${type} (${schema.format})`]
    return [type]
  })
  return texts.flatMap((text, index) => (index === 0 ? text : [' or ', ...text]))
}

const DEEPEST = 8

/** A valid value, built from the examples in the schema. */
export function exampleOf(schema: Schema, schemas: Schemas, depth = 0): unknown {
  if (schema.example !== undefined) return schema.example
  if (depth > DEEPEST) return null
  if (schema.$ref !== undefined) return exampleOf(schemas[nameOfRef(schema.$ref)] ?? {}, schemas, depth + 1)
  if (schema.default !== undefined) return schema.default
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const [choice] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? []
  if (choice !== undefined) return exampleOf(choice, schemas, depth + 1)
  switch ([schema.type].flat()[0]) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, of]) => [
          name,
          exampleOf(of, schemas, depth + 1),
        ]),
      )
    case 'array':
      return [exampleOf(schema.items ?? {}, schemas, depth + 1)]
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'boolean':
      return true
    case 'string':
      return schema.format === 'date-time' ? '2026-01-15T08:00:00.000Z' : 'text'
    default:
      return null
  }
}
