/**
 * The program on the DAQ's machine: asks for permission by HTTP, removes the file and reports the outcome.
 * After a crash it finds in its log what it has not reported. The client and the routes are the real ones.
 */
import type { RemoteStore } from '../../cli/push/remote-store.ts'
import { createApiSafety } from '../../cli/watch/api-safety.ts'
import type { SafetyPort } from '../../cli/watch/safety.ts'
import { registerDeletions } from '../../functions/catalog-api/api/deletions.ts'
import { createEmptyApi } from '../../functions/catalog-api/http/empty-api.ts'
import type { LocalCopy } from '../../shared/copies/delete/local-copies.ts'
import { HOST } from './disk.ts'
import type { FunctionInput, World } from './world.ts'

/** Removes a file if the API permits it. */
export const removeFile = (world: World, copy: LocalCopy) => async (input: FunctionInput) => {
  await reportUnreported(world)(input)
  let permissionId: number | null = null
  const remove: Parameters<SafetyPort['removeWhenSafe']>[1] = async (permission) => {
    permissionId = permission.id
    await input.call.through(
      'disk',
      async () => void world.disk.unreported.set(permission.id, { copy, isDone: false }),
    )
    await world.disk.removeFor(input.call, copy, permission.isOver)
    await input.call.through(
      'disk',
      async () => void world.disk.unreported.set(permission.id, { copy, isDone: true }),
    )
  }
  await safetyOf(world, input).removeWhenSafe(copy, remove, input.signal)
  if (permissionId !== null) world.disk.unreported.delete(permissionId)
}

/** Reports the removals that were not reported, as the program does when it starts. */
export const reportUnreported = (world: World) => async (input: FunctionInput) => {
  const { unreported } = world.disk
  for (const [id, { copy, isDone }] of unreported) {
    await safetyOf(world, input).endRemoval(copy, id, isDone || !world.disk.isOnDisk(copy), input.signal)
    unreported.delete(id)
  }
}

function safetyOf({ clock, disk }: World, input: FunctionInput): SafetyPort {
  return createApiSafety(
    remoteOf(input),
    { wallMs: clock.nowMs, steadyMs: () => 0 },
    { host: HOST, isThere: disk.isOnDisk },
  )
}

function remoteOf({
  context,
  call,
}: FunctionInput): Pick<RemoteStore, 'copiesOf' | 'requestRemoval' | 'reportLocal' | 'endRemoval'> {
  const api = createEmptyApi(context.log)
  api.app.use(async (c, next) => {
    c.set('caller', {
      kind: 'token',
      subject: 'token:1',
      name: 'daq',
      scopes: ['push:*'],
      token: { id: 1, name: 'daq', machine: HOST, scopes: ['push:*'] },
    })
    await next()
  })
  registerDeletions(api, context)
  const post = (path: string, body: unknown) =>
    call.through('network', async () => {
      const headers = { 'content-type': 'application/json' }
      const answer = await api.app.request(`/api/v1/files/${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers,
      })
      if (!answer.ok && answer.status !== 404) throw new Error(`the API answers ${answer.status}`)
      return answer.status === 404 ? null : ((await answer.json()) as never)
    })
  return {
    copiesOf: () => Promise.reject(new Error('no deletion depends on this call')),
    requestRemoval: ({ bucket, key, sha256, sizeBytes, host, path }) =>
      post(`${bucket}/${key}/deletions`, { sha256, sizeBytes, host, path }),
    reportLocal: () => Promise.reject(new Error('another action reports files')),
    async endRemoval({ bucket, key, id, host, gone }) {
      await post(`${bucket}/${key}/deletions/${id}`, { host, gone })
    },
  }
}
