/**
 * For machines that reach only this API: may they remove their own copy of a file? The other copies are
 * checked for the answer, which is valid for a minute; afterwards the machine reports the outcome.
 * docs/adr/0009-deletion.md.
 */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import type { LocalCopy } from '../../../shared/copies/delete/local-copies.ts'
import { endPermission, permitDeletion } from '../../../shared/copies/delete/permit-deletion.ts'
import { ConflictError, CygnetError } from '../../../shared/errors.ts'
import { withoutSecrets } from '../../../shared/log.ts'
import { audited } from '../access/audited.ts'
import { refusal } from '../http/problem.ts'
import { type Api, addPage } from '../http/route.ts'
import {
  bodyOf,
  FILE_PATH,
  fileOnDisk,
  fileParams,
  machine,
  PUSHERS,
  requireMachine,
  runFileOf,
} from './file-in-path.ts'
import { problems, SECURITY } from './problems.ts'

/** Below the time limits of gateways and AWS Lambda. */
const CHECK_SECONDS = 25

const decision = z.object({
  allowed: z.boolean(),
  why: z.string().openapi({ description: 'The reason' }),
  id: z
    .int()
    .optional()
    .openapi({ description: 'Id of the permission, if allowed: its outcome must be reported' }),
  validSeconds: z
    .int()
    .optional()
    .openapi({ description: "Counted from before the request was sent, by the client's monotonic clock" }),
})

const outcome = z.strictObject({
  host: machine,
  gone: z.boolean().openapi({ description: 'Whether the file is deleted' }),
})
const ended = z.object({ state: z.enum(['deleted', 'withdrawn']) })

const permissionRoute = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/deletions',
  tags: ['Uploads'],
  summary: 'Request permission to remove a file from the disk of this machine',
  description: `Only of the machine that the token speaks for. A copy on tape is verified and the object in the store checked for this answer, for ${CHECK_SECONDS} seconds at most. When it is allowed, the deletion is recorded, and the file may be removed within validSeconds; report the outcome to …/deletions/{id}. A repeated request checks the copies again and keeps the id.`,
  security: SECURITY,
  request: {
    params: fileParams,
    body: { required: true, content: { 'application/json': { schema: fileOnDisk } } },
  },
  responses: {
    200: {
      description: 'The decision and its reason',
      content: { 'application/json': { schema: decision } },
    },
    ...problems(404, 413),
  },
})

const endRoute = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/deletions/{id}',
  tags: ['Uploads'],
  summary: 'Report the outcome of a permission to remove a file',
  description: 'A repeated report does not change the first one.',
  security: SECURITY,
  request: {
    params: fileParams.extend({
      id: z.string().openapi({ description: 'Id of the permission', example: '7' }),
    }),
    body: { required: true, content: { 'application/json': { schema: outcome } } },
  },
  responses: {
    200: { description: 'The recorded outcome', content: { 'application/json': { schema: ended } } },
    ...problems(404, 409, 413),
  },
})

export function registerDeletions(api: Api, context: Context<'database' | 'queues' | 's3' | 'tape'>): void {
  api.app.openAPIRegistry.registerPath(permissionRoute)
  api.app.openAPIRegistry.registerPath(endRoute)

  addPage(api, 'POST', `${FILE_PATH}/deletions`, PUSHERS, async (c) => {
    const copy = { ...runFileOf(c), ...(await bodyOf(c, fileOnDisk)) }
    await requireMachine(context, c, copy.host)
    const { bucket, key, path } = copy
    const answer = await audited(
      context,
      c,
      'push',
      `removal of ${copy.host}:${path} (${bucket}/${key})`,
      () => decide(context, copy),
      ({ allowed, why, id }) => (allowed ? `permitted (${id}): ${why}` : `not permitted: ${why}`),
    )
    context.log.info(
      { bucket, key, path, host: copy.host, by: c.get('caller').subject, ...answer },
      'deletion-requested',
    )
    return c.json(answer satisfies z.infer<typeof decision>)
  })

  addPage(api, 'POST', `${FILE_PATH}/deletions/:id{[0-9]+}`, PUSHERS, async (c) => {
    const object = runFileOf(c)
    const id = Number(c.req.param('id'))
    if (!Number.isSafeInteger(id)) throw refusal(404, 'there is no permission of this id')
    const report = await bodyOf(c, outcome)
    await requireMachine(context, c, report.host)
    const name = `${object.bucket}/${object.key}`
    const state = await audited(
      context,
      c,
      'push',
      `end of permission ${id} of ${report.host} (${name})`,
      async () => {
        const state = await endPermission(context, { ...object, ...report, id }).catch((error: unknown) => {
          if (error instanceof ConflictError)
            throw refusal(409, 'another process is working on this file; repeat the report')
          throw error
        })
        if (state === null) throw refusal(404, `${report.host} has no permission ${id} for ${name}`)
        return state
      },
      (state) => state,
    )
    return c.json({ state } satisfies z.infer<typeof ended>)
  })
}

/** A check that fails or exceeds the time limit never permits a deletion. */
async function decide(
  context: Context<'database' | 'queues' | 's3' | 'tape'>,
  copy: LocalCopy,
): Promise<z.infer<typeof decision>> {
  // Not aborted when the client disconnects: what was begun is completed in order.
  const limit = AbortSignal.timeout(CHECK_SECONDS * 1000)
  try {
    const { kind, ...answer } = await permitDeletion(context, copy, limit)
    return { allowed: kind === 'permitted', ...answer }
  } catch (error) {
    if (limit.aborted) return { allowed: false, why: TOO_SLOW }
    // Errors of the endpoint or the store are the reason of a refusal. Others, such as the database's, are
    // answered as for any route.
    if (!(error instanceof CygnetError)) throw error
    return {
      allowed: false,
      why: `its copies could not be checked now: ${withoutSecrets(error.message)}`,
    }
  }
}

const TOO_SLOW = `its copy on tape could not be verified within ${CHECK_SECONDS} s: if the endpoint states no checksum, the whole file is read, which takes too long for a large one`
