/** For machines that have files of runs: they report the files on their own disks to the catalogue. */
import { createRoute } from '@hono/zod-openapi'
import * as z from 'zod'
import type { Context } from '../../../shared/context.ts'
import { isNews, noteLocalCopy, noteVanishedCopy } from '../../../shared/copies/delete/local-copies.ts'
import { audited } from '../access/audited.ts'
import { type Api, addPage } from '../http/route.ts'
import {
  bodyOf,
  FILE_PATH,
  fileOnDisk,
  fileParams,
  PUSHERS,
  requireMachine,
  runFileOf,
} from './file-in-path.ts'
import { problems, SECURITY } from './problems.ts'

const report = fileOnDisk.extend({
  there: z.boolean().openapi({ description: 'Whether the file exists' }),
  readAt: z.iso.datetime().optional().openapi({ description: 'When its bytes were read; now by default' }),
})
const answer = z.object({
  noted: z.boolean().openapi({ description: 'False when the report must be repeated later' }),
})

const route = createRoute({
  method: 'post',
  path: '/api/v1/files/{bucket}/{key}/local-copies',
  tags: ['Uploads'],
  summary: 'Report whether the file is on the disk of this machine',
  description:
    'Only of the machine that the token speaks for. A repeated report changes nothing. It is not recorded if the contents are not catalogued yet, or another process is working on the copy.',
  security: SECURITY,
  request: {
    params: fileParams,
    body: { required: true, content: { 'application/json': { schema: report } } },
  },
  responses: {
    200: { description: 'Whether it was recorded', content: { 'application/json': { schema: answer } } },
    ...problems(404, 413),
  },
})

export function registerLocalCopies(api: Api, context: Context<'database' | 'queues'>): void {
  api.app.openAPIRegistry.registerPath(route)
  addPage(api, 'POST', `${FILE_PATH}/local-copies`, PUSHERS, async (c) => {
    const object = runFileOf(c)
    const { there, readAt, ...file } = await bodyOf(c, report)
    await requireMachine(context, c, file.host)
    const copy = { ...object, ...file }
    // The clock of a DAQ machine may be wrong: a time in the future is replaced by now.
    const now = context.now()
    const at = readAt === undefined || Date.parse(readAt) > now.getTime() ? now : new Date(readAt)
    const note = async () =>
      there
        ? (await noteLocalCopy({ ...context, now: () => at }, copy)) !== null
        : await noteVanishedCopy(context, copy)
    const name = `${copy.host}:${copy.path} (${object.bucket}/${object.key})`
    // Push reports each file again and again: only what changes is a use.
    const noted = (await isNews(context, copy, there))
      ? await audited(context, c, 'push', `${there ? 'copy' : 'missing copy'} ${name}`, note, (wasNoted) =>
          wasNoted ? 'done' : 'refused: another process is working on the copy',
        )
      : await note()
    return c.json({ noted } satisfies z.infer<typeof answer>)
  })
}
