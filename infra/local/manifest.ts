/** Reads the functions with their triggers, and the queues, from serverless.yml. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse, type ScalarTag } from 'yaml'
import * as z from 'zod'
import { InvalidInputError } from '../../shared/errors.ts'

export type Trigger =
  | { readonly kind: 'queue'; readonly queue: string }
  | { readonly kind: 'schedule'; readonly expression: string }
  | { readonly kind: 'http' }

export interface FunctionEntry {
  readonly name: string
  readonly description: string
  readonly trigger: Trigger
  readonly timeoutSeconds: number
  readonly memoryMB: number
}

export interface QueueEntry {
  /** Without the prefix of an installation. */
  readonly name: string
  readonly visibilitySeconds: number
  readonly maxReceiveCount: number
}

export interface Manifest {
  readonly functions: readonly FunctionEntry[]
  readonly queues: readonly QueueEntry[]
}

const MANIFEST = fileURLToPath(new URL('../../serverless.yml', import.meta.url))
const QUEUE_PREFIX = 'cygnet-'

/** The short forms of CloudFormation, read as their text. */
const cloudFormationTags: ScalarTag[] = ['!GetAtt', '!Ref', '!Sub'].map((tag) => ({
  tag,
  resolve: (text: string) => text,
}))

const eventSchema = z.union([
  z.object({ sqs: z.object({ arn: z.string() }) }),
  z.object({ schedule: z.string() }),
  z.object({ httpApi: z.string() }),
])
const functionSchema = z.object({
  description: z.string(),
  timeout: z.number(),
  memorySize: z.number(),
  events: z.array(eventSchema).length(1),
})
const resourceSchema = z.object({
  Type: z.string(),
  Properties: z
    .object({
      QueueName: z.string().optional(),
      VisibilityTimeout: z.number().optional(),
      RedrivePolicy: z.object({ maxReceiveCount: z.number() }).optional(),
    })
    .optional(),
})
const manifestSchema = z.object({
  functions: z.record(z.string(), functionSchema),
  resources: z.object({ Resources: z.record(z.string(), resourceSchema) }),
})

/** Options of esbuild for the bundle of a function. */
const bundlingSchema = z.object({
  minifySyntax: z.boolean(),
  minifyWhitespace: z.boolean(),
  target: z.string(),
  mainFields: z.array(z.string()),
  alias: z.record(z.string(), z.string()),
  /** A module whose default export is a list of plugins. */
  plugins: z.string(),
})
export type Bundling = z.infer<typeof bundlingSchema>

function read<T>(path: string, schema: z.ZodType<T>): T {
  const result = schema.safeParse(parse(readFileSync(path, 'utf8'), { customTags: cloudFormationTags }))
  if (!result.success) throw new InvalidInputError(`${path}: ${z.prettifyError(result.error)}`)
  return result.data
}

/** @throws InvalidInputError with the parts of the manifest that are not valid. */
export const readBundling = (path = MANIFEST): Bundling =>
  read(path, z.object({ custom: z.object({ esbuild: bundlingSchema }) })).custom.esbuild

/** @throws InvalidInputError with the parts of the manifest that are not valid. */
export function readManifest(path = MANIFEST): Manifest {
  const { functions, resources } = read(path, manifestSchema)
  const queueName = (resource: string): string => {
    const name = resources.Resources[resource]?.Properties?.QueueName
    if (name === undefined) throw new InvalidInputError(`${path}: there is no queue ${resource}`)
    return name.startsWith(QUEUE_PREFIX) ? name.slice(QUEUE_PREFIX.length) : name
  }
  return {
    functions: Object.entries(functions).map(([name, entry]) => ({
      name,
      description: entry.description,
      trigger: triggerOf(entry.events[0], queueName),
      timeoutSeconds: entry.timeout,
      memoryMB: entry.memorySize,
    })),
    queues: Object.entries(resources.Resources).flatMap(([resource, { Type, Properties }]) => {
      if (Type !== 'AWS::SQS::Queue' || Properties?.RedrivePolicy === undefined) return []
      const { VisibilityTimeout = 30, RedrivePolicy } = Properties
      return [
        {
          name: queueName(resource),
          visibilitySeconds: VisibilityTimeout,
          maxReceiveCount: RedrivePolicy.maxReceiveCount,
        },
      ]
    }),
  }
}

function triggerOf(
  event: z.infer<typeof eventSchema> | undefined,
  queueName: (resource: string) => string,
): Trigger {
  if (event === undefined) throw new InvalidInputError('a function has no trigger')
  if ('sqs' in event) return { kind: 'queue', queue: queueName(event.sqs.arn.replace(/\.Arn$/, '')) }
  if ('schedule' in event) return { kind: 'schedule', expression: event.schedule }
  return { kind: 'http' }
}
