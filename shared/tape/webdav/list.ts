/** Lists the files at the endpoint, folder by folder, to find those that the catalogue does not know. */
import { TransientError } from '../../errors.ts'
import { checkedName, isTemporary } from '../names.ts'
import type { Endpoint } from './endpoint.ts'
import { folderOf } from './places.ts'
import { findProperties } from './properties.ts'
import { assertRootExists } from './root.ts'

/** Far deeper than our layouts; stops at endpoints that list a folder inside itself. */
const DEEPEST = 32

/** As TapeDriver.list. */
export async function* listFiles(endpoint: Endpoint, prefix: string, signal: AbortSignal) {
  const waiting = [folderOf(prefix)]
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    if (folder.split('/').length > DEEPEST)
      throw new TransientError(`the endpoint lists folders without end: ${folder.slice(0, 200)}`)
    for (const { segment, isFolder, sizeBytes } of await entriesOf(endpoint, folder, signal)) {
      const name = `${folder}${segment}`
      if (segment === '' || isTemporary(segment)) continue
      if (!isUsable(name)) endpoint.log?.warn({ name }, 'tape-name-not-usable')
      else if (isFolder && (`${name}/`.startsWith(prefix) || prefix.startsWith(`${name}/`)))
        waiting.push(`${name}/`)
      else if (!isFolder && name.startsWith(prefix)) yield { name, sizeBytes: known(sizeBytes, name) }
    }
  }
}

async function entriesOf(endpoint: Endpoint, folder: string, signal: AbortSignal) {
  const url = folder === '' ? endpoint.places.root.href : `${endpoint.places.url(folder.slice(0, -1))}/`
  const entries = await findProperties(endpoint.http, url, 1, signal)
  if (entries === null) await assertRootExists(endpoint, signal)
  return entries ?? []
}

function known(sizeBytes: number | null, name: string): number {
  if (sizeBytes === null)
    throw new TransientError(`the endpoint's listing does not state the size of ${name}`)
  return sizeBytes
}

function isUsable(name: string): boolean {
  try {
    return checkedName(name) === name
  } catch {
    return false
  }
}
