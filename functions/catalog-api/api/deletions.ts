/**
 * For machines that reach nothing but this API: may they remove their own copy of a file? The other copies
 * are looked at for the answer, which holds for a minute; then they say what came of it.
 * docs/adr/0009-deletion.md.
 */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import type { LocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { endPermission, permitDeletion } from '../../../shared/copies/delete/permit-deletion.ts'
import { ConflictError, CygnetError } from '../../../shared/errors.ts'
import { withoutSecrets } from '../../../shared/log.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import { bodyOf, FILE_PATH, fileOnDisk, fileParams, machine, PUSHERS, runFileOf } from './file-in-path.ts'
import { problems, SECURITY } from './problems.ts'

/** Below what gateways and AWS Lambda wait for an answer. */
const LOOK_SECONDS = 25

const decision = z.object({
  allowed: z.boolean(),
  why: z.string().openapi({ description: 'In words, whichever it is' }),
  id: z
    .int()
    .optional()
    .openapi({ description: 'Of the permission, when it is allowed: what came of it has to be told' }),
  validSeconds: z
    .int()
    .optional()
    .openapi({ description: "From before the question was asked, by the asker's steady clock" }),
})

const outcome = z.strictObject({
  host: machine,
  gone: z.boolean().openapi({ description: 'The file is not there any more' }),
})
const ended = z.object({ state: z.enum(['deleted', 'withdrawn']) })

const askRoute = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/deletions',
  tags: ['Uploads'],
  summary: 'May this file be removed from the disk of the machine that asks?',
  description: `A copy on tape is verified and the object in the store looked at for this answer, for ${LOOK_SECONDS} seconds at most. When it is allowed, the deletion is written down, and the file may be removed within validSeconds; what came of it is told to …/deletions/{id}. Asked again, the copies are looked at again and the id stays.`,
  security: SECURITY,
  request: {
    params: fileParams,
    body: { required: true, content: { 'application/json': { schema: fileOnDisk } } },
  },
  responses: {
    200: { description: 'Whether, and why', content: { 'application/json': { schema: decision } } },
    ...problems(404, 413),
  },
})

const endRoute = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/deletions/{id}',
  tags: ['Uploads'],
  summary: 'What came of a permission to remove a file',
  description: 'Told again, it stays as it was told first.',
  security: SECURITY,
  request: {
    params: fileParams.extend({ id: z.string().openapi({ description: 'Of the permission', example: '7' }) }),
    body: { required: true, content: { 'application/json': { schema: outcome } } },
  },
  responses: {
    200: { description: 'How it ended', content: { 'application/json': { schema: ended } } },
    ...problems(404, 409, 413),
  },
})

export function registerDeletions(api: Api, context: Context<'database' | 'queues' | 's3' | 'tape'>): void {
  api.app.openAPIRegistry.registerPath(askRoute)
  api.app.openAPIRegistry.registerPath(endRoute)

  addPage(api, 'POST', `${FILE_PATH}/deletions`, PUSHERS, async (c) => {
    const copy = { ...runFileOf(c), ...(await bodyOf(c, fileOnDisk)) }
    const answer = await decide(context, copy)
    const { bucket, key, path } = copy
    context.log.info(
      { bucket, key, path, host: copy.host, by: c.get('caller').subject, ...answer },
      'deletion-asked',
    )
    return c.json(answer satisfies z.infer<typeof decision>)
  })

  addPage(api, 'POST', `${FILE_PATH}/deletions/:id{[0-9]+}`, PUSHERS, async (c) => {
    const object = runFileOf(c)
    const id = Number(c.req.param('id'))
    const told = await bodyOf(c, outcome)
    const state = await endPermission(context, { ...object, ...told, id }).catch((error: unknown) => {
      if (error instanceof ConflictError)
        throw refusal(409, 'another process is at work on this file just now; say it again')
      throw error
    })
    if (state === null)
      throw refusal(404, `${told.host} has no permission ${id} for ${object.bucket}/${object.key}`)
    return c.json({ state } satisfies z.infer<typeof ended>)
  })
}

/** Never allowed because something did not answer in time, or not at all. */
async function decide(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  copy: LocalCopy,
): Promise<z.infer<typeof decision>> {
  // Not given up when the caller goes away: what is begun is to be ended in order.
  const limit = AbortSignal.timeout(LOOK_SECONDS * 1000)
  try {
    const { kind, ...answer } = await permitDeletion(context, copy, limit)
    return { allowed: kind === 'permitted', ...answer }
  } catch (error) {
    if (limit.aborted) return { allowed: false, why: TOO_SLOW }
    // What the endpoint or the store say against it. Others, as of the database, are told as those of any
    // route.
    if (!(error instanceof CygnetError)) throw error
    return {
      allowed: false,
      why: `its copies could not be looked at just now: ${withoutSecrets(error.message)}`,
    }
  }
}

const TOO_SLOW = `its copy on tape could not be verified within ${LOOK_SECONDS} s: where the endpoint states no checksum it is read whole, which takes too long for a large file`
