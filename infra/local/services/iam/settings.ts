/** The settings of the process of the embedded IAM, and its fixed names. */
import * as z from 'zod'

export const userSchema = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/),
  /** Paths as in INDIGO IAM: `/cygno/shifters`. */
  groups: z.array(z.string().startsWith('/')),
})
export type IamUser = Readonly<z.infer<typeof userSchema>>

/** The settings file that infra/local/services/iam/main.ts reads at its start. */
export const startSchema = z.object({
  folder: z.string(),
  port: z.int(),
  /** Address of the catalogue for browsers. */
  publicUrl: z.url(),
  clientSecret: z.string().min(32),
  cookieSecret: z.string().min(32),
  accessTokenSeconds: z.int().positive(),
  users: z.array(userSchema.extend({ password: z.string().min(12) })),
})
export type StartSettings = Readonly<z.infer<typeof startSchema>>

/** Clients: the catalogue's pages, with a secret, and `cygnet login`, without. */
export const WEB_CLIENT = 'cygnet'
export const CLI_CLIENT = 'cygnet-cli'

/** The audience of every access token. */
export const AUDIENCE = 'cygnet'

export const addressOf = (port: number) => `http://127.0.0.1:${port}`
