/**
 * The checks that Discord makes of a message, with its error texts.
 * https://docs.discord.com/developers/resources/message#embed-object-embed-limits and #create-message,
 * https://docs.discord.com/developers/reference#error-messages
 */
import * as z from 'zod'

const trimmed = (most: number) => z.string().trim().max(most)
const required = (most: number) => z.string().trim().min(1).max(most)
const httpAddress = z.string().regex(/^https?:\/\/\S+$/)
const picture = z.object({ url: z.string().regex(/^(?:https?|attachment):\/\/\S+$/) })

const embed = z.object({
  title: trimmed(256).optional(),
  description: trimmed(4096).optional(),
  url: httpAddress.optional(),
  timestamp: z.iso.datetime({ offset: true }).optional(),
  color: z.int().min(0).max(0xffffff).optional(),
  footer: z.object({ text: required(2048) }).optional(),
  image: picture.optional(),
  fields: z
    .array(z.object({ name: required(256), value: required(1024), inline: z.boolean().optional() }))
    .max(25)
    .optional(),
})
export type Embed = z.output<typeof embed>

const snowflake = z.string().regex(/^\d{15,21}$/)
const MOST_EMBED_CHARACTERS = 6000

const sizeOf = ({ title, description, footer, fields = [] }: Embed): number =>
  [title, description, footer?.text, ...fields.flatMap(({ name, value }) => [name, value])].reduce(
    (sum, text) => sum + (text?.length ?? 0),
    0,
  )

const allowedMentions = z
  .object({
    parse: z.array(z.enum(['users', 'roles', 'everyone'])).optional(),
    users: z.array(snowflake).max(100).optional(),
    roles: z.array(snowflake).max(100).optional(),
  })
  .superRefine(({ parse = [], users = [], roles = [] }, context) => {
    for (const [kind, ids] of Object.entries({ users, roles }))
      if (parse.some((one) => one === kind) && ids.length > 0)
        context.addIssue({
          code: 'custom',
          message: `parse:["${kind}"] and ${kind}: [ids...] are mutually exclusive.`,
          params: { discord: 'MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE' },
        })
  })
export type AllowedMentions = z.output<typeof allowedMentions>

const message = z.object({
  content: z.string().max(2000).optional(),
  embeds: z
    .array(embed)
    .max(10)
    .superRefine((embeds, context) => {
      if (embeds.reduce((sum, one) => sum + sizeOf(one), 0) > MOST_EMBED_CHARACTERS)
        context.addIssue({
          code: 'custom',
          message: `Embed size exceeds maximum size of ${MOST_EMBED_CHARACTERS}`,
          params: { discord: 'MAX_EMBED_SIZE_EXCEEDED' },
        })
    })
    .optional(),
  nonce: z
    .union([z.string().max(25), z.int()])
    .transform(String)
    .optional(),
  enforce_nonce: z.boolean().optional(),
  allowed_mentions: allowedMentions.nullish(),
  attachments: z
    .array(
      z.object({ id: z.union([z.string(), z.int()]).transform(String), filename: z.string().optional() }),
    )
    .optional(),
})
export type MessageBody = z.output<typeof message>

interface ErrorTree {
  [key: string]: ErrorTree | readonly { readonly code: string; readonly message: string }[]
}

/** The body, or the answer of a form that is refused. */
export function checkBody(
  value: unknown,
): { readonly body: MessageBody } | { readonly errors: Readonly<ErrorTree> } {
  const result = message.safeParse(value)
  if (result.success) return { body: result.data }
  const errors: ErrorTree = {}
  for (const issue of result.error.issues) {
    let place = errors
    for (const key of issue.path) {
      place[String(key)] ??= {}
      place = place[String(key)] as ErrorTree
    }
    place._errors = [described(issue)]
  }
  return { errors }
}

function described(issue: z.core.$ZodIssue): { readonly code: string; readonly message: string } {
  if (issue.code === 'custom') return { code: issue.params?.discord ?? 'INVALID', message: issue.message }
  if (issue.code === 'too_small') return { code: 'BASE_TYPE_REQUIRED', message: 'This field is required' }
  if (issue.code === 'too_big')
    return { code: 'BASE_TYPE_MAX_LENGTH', message: `Must be ${issue.maximum} or fewer in length.` }
  if (issue.code === 'invalid_format')
    return { code: 'URL_TYPE_INVALID_URL', message: 'Not a well formed URL.' }
  return { code: 'BASE_TYPE_BAD_TYPE', message: issue.message }
}
