/** What the process of the embedded IAM is told, and what it says about itself. */
import * as z from 'zod'

export const userSchema = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
  /** As INDIGO IAM writes them: a path, `/cygno/shifters`. */
  groups: z.array(z.string().startsWith('/')),
})
export type IamUser = Readonly<z.infer<typeof userSchema>>

/** What infra/local/services/iam/main.ts reads at its start. */
export const startSchema = z.object({
  folder: z.string(),
  port: z.int(),
  /** Address of the catalogue as browsers reach it. */
  publicUrl: z.url(),
  clientSecret: z.string().min(32),
  cookieSecret: z.string().min(32),
  accessTokenSeconds: z.int().positive(),
  users: z.array(userSchema.extend({ password: z.string().min(12) })),
})
export type StartSettings = Readonly<z.infer<typeof startSchema>>

/** The catalogue in the browser, with a secret; `cygnet login`, without. */
export const WEB_CLIENT = 'cygnet'
export const CLI_CLIENT = 'cygnet-cli'

/** Named by every access token, and by nothing else. */
export const AUDIENCE = 'cygnet'

export const addressOf = (port: number) => `http://127.0.0.1:${port}`
