/** The settings file that main.ts reads at its start. */
import * as z from 'zod'

export const startSchema = z.object({
  /** Of the service, where the messages are stored. */
  folder: z.string(),
  port: z.int(),
  token: z.string().min(20),
  channels: z.array(z.object({ id: z.string(), name: z.string() })),
})
export type StartSettings = Readonly<z.infer<typeof startSchema>>
