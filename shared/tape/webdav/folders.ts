/**
 * Making the folders of a copy. Several copies make the same ones at once: that one is there is what counts,
 * not who made it.
 */
import { TransientError } from '../../errors.ts'
import { refusal } from './answers.ts'
import { discard, type TapeHttp } from './http.ts'
import { folderOf, type Places } from './places.ts'
import { findProperties } from './properties.ts'

export interface Folders {
  /** Makes what is missing of the folders above a file. @throws TransientError when one cannot be made. */
  ensureAbove(name: string, signal: AbortSignal): Promise<void>
  /** The endpoint says that a folder is missing: they are all looked up again. */
  forget(): void
}

export function createFolders(http: TapeHttp, places: Places): Folders {
  /** Folders that were there: every copy of a tag goes into the same one. */
  const known = new Set<string>()

  /** `folder` ends in a slash, as MKCOL wants it. */
  async function make(folder: string, signal: AbortSignal): Promise<'there' | 'parent missing'> {
    const url = `${places.url(folder.slice(0, -1))}/`
    const what = `making the folder ${folder}`
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
    // Who may write in a folder may not always make it; some answer so for a folder that is there.
    const [itself] = (await findProperties(http, url, 0, signal).catch(() => null)) ?? []
    if (itself?.isFolder === true) return 'there'
    throw failure
  }

  async function ensure(folder: string, signal: AbortSignal): Promise<void> {
    if (folder === '' || known.has(folder)) return
    if ((await make(folder, signal)) === 'parent missing') {
      const parent = folderOf(folder.slice(0, -1))
      if (parent === '')
        throw new TransientError(`the root ${places.root.href} is not there`, { operator: true })
      known.delete(parent)
      await ensure(parent, signal)
      if ((await make(folder, signal)) !== 'there')
        throw new TransientError(`the folder ${folder} cannot be made: the endpoint misses its parent`)
    }
    known.add(folder)
  }

  return { ensureAbove: (name, signal) => ensure(folderOf(name), signal), forget: () => known.clear() }
}
