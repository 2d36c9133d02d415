/**
 * The settings of the embedded services, in a file that only its owner can read, and their control messages.
 */
import * as z from 'zod'

export const REGION = 'us-east-1'
/** The account in the addresses and ARNs of the queues. */
export const ACCOUNT = '000000000000'

/** The name of a queue of the embedded SQS in a bucket's notification configuration. */
export const queueArn = (queue: string): string => `arn:aws:sqs:${REGION}:${ACCOUNT}:${queue}`

const name = z.string().regex(/^[A-Za-z0-9_-]{1,75}$/, 'letters, digits, - and _, at most 75')

/**
 * A queue, with the dead-letter queue `<name>-dead` for messages that were received too often.
 */
export const queueSchema = z.object({
  name,
  visibilitySeconds: z.int().min(0).max(43_200),
  maxReceiveCount: z.int().min(1).max(1000),
})
export type QueueDefinition = Readonly<z.infer<typeof queueSchema>>

export const credentialsSchema = z.object({
  accessKeyId: z.string().min(16),
  secretAccessKey: z.string().min(32),
})
export type Credentials = Readonly<z.infer<typeof credentialsSchema>>

/** The settings file that main.ts reads at its start. */
export const startSchema = z.object({
  folder: z.string(),
  s3Port: z.int(),
  sqsPort: z.int(),
  controlPort: z.int(),
  controlToken: z.string().min(32),
  credentials: credentialsSchema,
  keepMessages: z.boolean(),
  notifications: z.boolean(),
  buckets: z.array(z.string()),
  queues: z.array(queueSchema),
})
export type StartSettings = Readonly<z.infer<typeof startSchema>>

/** A change while the services run: each part is optional; buckets and queues are added. */
export const changeSchema = z.object({
  notifications: z.boolean().optional(),
  buckets: z.array(z.string()).optional(),
  queues: z.array(queueSchema).optional(),
})
export type Change = Readonly<z.input<typeof changeSchema>>

/** The answer of the control address. */
export const stateSchema = z.object({
  notifications: z.boolean(),
  /**
   * Events sent to a queue; suppressed, because notifications were off or the bucket has no matching rule; and
   * failed.
   */
  sent: z.int(),
  suppressed: z.int(),
  failed: z.int(),
})
export type EmbeddedState = Readonly<z.infer<typeof stateSchema>>

/** Stored in `connection.json`, with which other processes (the CLI) find the running services. */
export const connectionSchema = z.object({
  s3: z.object({ endpoint: z.string(), region: z.string(), ...credentialsSchema.shape }),
  sqs: z.object({ endpoint: z.string(), region: z.string(), ...credentialsSchema.shape }),
  control: z.object({ endpoint: z.string(), token: z.string() }),
})
export type Connection = Readonly<z.infer<typeof connectionSchema>>
