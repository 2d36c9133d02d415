/** For machines that hold files of runs: what they find on their own disks, told to the catalogue. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import { noteLocalCopy, noteVanishedCopy } from '../../../shared/copies/delete/local-copies.ts'
import { type Api, addPage } from '../http/route.ts'
import { bodyOf, FILE_PATH, fileOnDisk, fileParams, PUSHERS, runFileOf } from './file-in-path.ts'
import { problems, SECURITY } from './problems.ts'

const report = fileOnDisk.extend({
  there: z.boolean().openapi({ description: 'Whether the file is there, or not any more' }),
  readAt: z.iso
    .datetime()
    .optional()
    .openapi({ description: 'When its bytes were read; now, unless stated' }),
})
const answer = z.object({
  noted: z.boolean().openapi({ description: 'False when it has to be told again later' }),
})

const route = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/local-copies',
  tags: ['Uploads'],
  summary: 'A copy of the file is on the disk of the machine that tells it, or not any more',
  description:
    'Told again, nothing changes. Not noted: the contents are not catalogued yet, or another process has the copy in hand.',
  security: SECURITY,
  request: {
    params: fileParams,
    body: { required: true, content: { 'application/json': { schema: report } } },
  },
  responses: {
    200: { description: 'Whether it was noted', content: { 'application/json': { schema: answer } } },
    ...problems(404, 413),
  },
})

export function registerLocalCopies(api: Api, context: Context<'database'>): void {
  api.app.openAPIRegistry.registerPath(route)
  addPage(api, 'POST', `${FILE_PATH}/local-copies`, PUSHERS, async (c) => {
    const object = runFileOf(c)
    const { there, readAt, ...file } = await bodyOf(c, report)
    const copy = { ...object, ...file }
    // The clock of a DAQ machine may be wrong: nothing was read later than now.
    const now = context.now()
    const at = readAt === undefined || Date.parse(readAt) > now.getTime() ? now : new Date(readAt)
    const noted = there
      ? (await noteLocalCopy({ ...context, now: () => at }, copy)) !== null
      : await noteVanishedCopy(context, copy)
    return c.json({ noted } satisfies z.infer<typeof answer>)
  })
}
