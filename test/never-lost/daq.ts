/**
 * The DAQ's program: it asks by HTTP, removes the file, tells what came of
 * it, and after a crash finds in its log what it has not told. The client and the routes are the real ones.
 */

import type { RemoteStore } from '../../cli/push/remote-store.ts'
import { createApiSafety } from '../../cli/watch/api-safety.ts'
import type { SafetyPort } from '../../cli/watch/safety.ts'
import { registerDeletions } from '../../functions/catalog-api/api/deletions.ts'
import { createEmptyApi } from '../../functions/catalog-api/http/empty-api.ts'
import type { LocalCopy } from '../../shared/copies/delete/local-copies.ts'
import { HOST } from './disk.ts'
import type { Given, World } from './world.ts'

/** Removes a file when the API permits it. */
export const removeFile = (world: World, copy: LocalCopy) => async (given: Given) => {
  await tellUntold(world)(given)
  let permissionId: number | null = null
  const remove: Parameters<SafetyPort['removeWhenSafe']>[1] = async (permission) => {
    permissionId = permission.id
    await given.call.through(
      'disk',
      async () => void world.disk.untold.set(permission.id, { copy, isDone: false }),
    )
    await world.disk.removeFor(given.call, copy, permission.isOver)
    await given.call.through(
      'disk',
      async () => void world.disk.untold.set(permission.id, { copy, isDone: true }),
    )
  }
  await safetyOf(world, given).removeWhenSafe(copy, remove, given.signal)
  if (permissionId !== null) world.disk.untold.delete(permissionId)
}

/** What it does when it starts. */
export const tellUntold = (world: World) => async (given: Given) => {
  const { untold } = world.disk
  for (const [id, { copy, isDone }] of untold) {
    await safetyOf(world, given).endRemoval(copy, id, isDone || !world.disk.isOnDisk(copy), given.signal)
    untold.delete(id)
  }
}

function safetyOf({ clock, disk }: World, given: Given): SafetyPort {
  return createApiSafety(
    remoteOf(given),
    { wallMs: clock.nowMs, steadyMs: () => 0 },
    { host: HOST, isThere: disk.isOnDisk },
  )
}

function remoteOf({
  context,
  call,
}: Given): Pick<RemoteStore, 'copiesOf' | 'requestRemoval' | 'reportLocal' | 'endRemoval'> {
  const api = createEmptyApi(context.log)
  api.app.use(async (c, next) => {
    c.set('caller', { kind: 'token', subject: 'token:1', name: 'daq', scopes: ['push:*'] })
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
    copiesOf: () => Promise.reject(new Error('nothing is deleted on this word')),
    requestRemoval: ({ bucket, key, sha256, sizeBytes, host, path }) =>
      post(`${bucket}/${key}/deletions`, { sha256, sizeBytes, host, path }),
    reportLocal: () => Promise.reject(new Error('it is told by another action')),
    async endRemoval({ bucket, key, id, host, gone }) {
      await post(`${bucket}/${key}/deletions/${id}`, { host, gone })
    },
  }
}
