/**
 * Creates the folders of a copy. Several copies may create the same folder at the same time: only its
 * existence counts.
 */
import { TransientError } from '../../errors.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import { folderOf, type Places } from './places.ts'
import { findProperties } from './properties.ts'

export interface Folders {
  /** Creates the missing folders above a file. @throws TransientError when one cannot be created. */
  ensureAbove(name: string, signal: AbortSignal): Promise<void>
  /** Called when the endpoint reports a missing folder: all are checked again. */
  forget(): void
}

export function createFolders(http: TapeHttp, places: Places): Folders {
  /** Folders known to exist: all copies of a tag go into the same one. */
  const known = new Set<string>()

  /** `folder` ends in a slash, as MKCOL requires. */
  async function make(folder: string, signal: AbortSignal): Promise<'there' | 'parent missing'> {
    const url = `${places.url(folder.slice(0, -1))}/`
    const what = `creating the folder ${folder}`
    const answer = await http.request({ method: 'MKCOL', url, what }, signal)
    if ([200, 201, 204, 405].includes(answer.status)) {
      await discard(answer)
      return 'there'
    }
    if (answer.status === 409) {
      await discard(answer)
      return 'parent missing'
    }
    const failure = await refusal(answer, what)
    // An account that may write in a folder may lack the right to create it, and some endpoints refuse even
    // if it exists.
    const found = (await findProperties(http, url, 0, signal).catch(() => null)) ?? []
    if (found.some(({ segment, isFolder }) => segment === '' && isFolder)) return 'there'
    throw failure
  }

  async function ensure(folder: string, signal: AbortSignal): Promise<void> {
    if (folder === '' || known.has(folder)) return
    if ((await make(folder, signal)) === 'parent missing') {
      const parent = folderOf(folder.slice(0, -1))
      if (parent === '')
        throw new TransientError(`the root ${places.root.href} does not exist`, { operator: true })
      known.delete(parent)
      await ensure(parent, signal)
      if ((await make(folder, signal)) !== 'there')
        throw new TransientError(
          `the folder ${folder} cannot be created: the endpoint reports its parent as missing`,
        )
    }
    known.add(folder)
  }

  return { ensureAbove: (name, signal) => ensure(folderOf(name), signal), forget: () => known.clear() }
}
