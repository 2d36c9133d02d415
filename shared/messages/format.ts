/**
 * What each queue carries: a schema, `encode` and `parse` per queue, one file each, and what docs/messages.md
 * states of it. Pure: text in, values out.
 */
import * as z from 'zod'
import { InvalidInputError } from '../errors.ts'

/** A queue's page in docs/messages.md. */
export interface QueueDescription {
  /** One sentence: one message per what, and what for. */
  readonly purpose: string
  readonly writer: string
  readonly reader: string
  /** What a reader may rely on, and what not. */
  readonly promise: string
  /** The message as Cygnet writes it; each field describes itself. */
  readonly schema: z.ZodObject
  /** The body of one message. */
  readonly example: string
}

/** What identifies a message in log lines. */
export interface LogFields {
  readonly tag?: string | null | undefined
  readonly run?: number | null | undefined
  readonly bucket?: string | null | undefined
  readonly key?: string | null | undefined
}

/** How a reader of a queue reads one body. */
export interface MessageReader<Message> {
  /** @throws InvalidInputError that describes what in the body is wrong. */
  parse(body: string): Message
  fields(message: Message): LogFields
}

/** A queue that Cygnet writes through the outbox: the row's name is the field `request`. */
export interface RequestFormat<Body, Message> extends QueueDescription, MessageReader<Message> {
  encode(request: string, body: Body): string
}

/** The run and object of a message, where it names them. */
interface About {
  readonly tag?: string | null
  readonly runNumber?: number | null
  readonly bucket?: string | null
  readonly key?: string | null
}

/**
 * Makes the format of a queue from its schema.
 * @param named what a message is, for errors: `a request for a tape copy`.
 * @param relied the fields that a reader needs: a message without one of the others is still read.
 */
export function requestFormat<Schema extends z.ZodObject, Relied extends About>({
  named,
  relied,
  example,
  ...description
}: Omit<QueueDescription, 'schema' | 'example'> & {
  readonly named: string
  readonly schema: Schema
  readonly relied: z.ZodType<Relied>
  readonly example: z.infer<Schema>
}): RequestFormat<Omit<z.infer<Schema>, 'request'>, Relied> {
  return {
    ...description,
    example: JSON.stringify(example),
    encode: (request, body) => JSON.stringify({ request, ...body }),
    parse(body) {
      const result = relied.safeParse(parseJson(body, named))
      if (result.success) return result.data
      throw new InvalidInputError(`${named} is malformed: ${z.prettifyError(result.error)}`)
    },
    fields: ({ tag, runNumber: run, bucket, key }) => ({ tag, run, bucket, key }),
  }
}

function parseJson(body: string, named: string): unknown {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new InvalidInputError(`${named} is not JSON`, {}, { cause })
  }
}
