/** Personal tokens of the signed-in person, through the API. No request is repeated: each would make a token. */
import * as z from 'zod'
import { InvalidInputError, TransientError } from '../../shared/errors.ts'
import { apiClient } from '../api/client.ts'

const made = z.object({ id: z.int(), token: z.string(), expiresAt: z.string(), lasting: z.boolean() })
const list = z.object({
  tokens: z.array(
    z.object({
      id: z.int(),
      name: z.string(),
      scopes: z.array(z.string()),
      state: z.string(),
      createdAt: z.string(),
      expiresAt: z.string(),
      lastUsedAt: z.string().nullable(),
    }),
  ),
  lasting: z.boolean(),
})
const problem = z.object({ detail: z.string() })

const PATH = '/api/v1/me/tokens'

/** @throws InvalidInputError when the API refuses, or nobody is signed in. */
export const createOwnToken = async (
  api: string | undefined,
  wanted: { readonly name: string; readonly scopes: readonly string[]; readonly days: number },
  signal: AbortSignal,
): Promise<z.infer<typeof made>> =>
  parsed(
    made,
    await request(api, PATH, {
      method: 'POST',
      body: JSON.stringify(wanted),
      headers: { 'content-type': 'application/json' },
      signal,
    }),
  )

export const listOwnTokens = async (
  api: string | undefined,
  signal: AbortSignal,
): Promise<z.infer<typeof list>> => parsed(list, await request(api, PATH, { signal }))

export async function revokeOwnToken(
  api: string | undefined,
  id: number,
  signal: AbortSignal,
): Promise<void> {
  await request(api, `${PATH}/${id}`, { method: 'DELETE', signal })
}

async function request(api: string | undefined, path: string, init: RequestInit): Promise<unknown> {
  const answer = await apiClient(api, true).fetch(path, init)
  const json: unknown = await answer.json().catch(() => null)
  if (answer.ok) return json
  const detail = problem.safeParse(json).data?.detail ?? `status ${answer.status}`
  if (answer.status === 429 || answer.status >= 500)
    throw new TransientError(`the API cannot answer now: ${detail}`)
  throw new InvalidInputError(detail)
}

function parsed<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  throw new InvalidInputError('the answer is not from the API of the catalogue')
}
