/**
 * The Destination of a MOVE to a path with characters that an address encodes: a blank, `+`, `é`. RFC 4918 wants
 * it encoded. XRootD 5.5 takes it as it is written: a file of the tag `LNGS test` would get the name of one of the
 * tag `LNGS%20test`, and could even replace that. So it is found out first how the endpoint reads the header, with
 * a small file under names that nothing else has.
 */
import { randomBytes } from 'node:crypto'
import { TransientError } from '../../errors.ts'
import { refusal } from './answers.ts'
import type { Endpoint } from './endpoint.ts'
import { discard } from './http.ts'
import { sizeAt } from './inspect.ts'
import { decoded, folderOf } from './places.ts'
import { tidy } from './remove.ts'

type Asked = Pick<Endpoint, 'http' | 'places' | 'log'>

/** The endpoint is tested once, and only when a name needs encoding. */
export function createDestinations(endpoint: Asked): Endpoint['destinationOf'] {
  let decodes: boolean | null = null
  return async (name, signal) => {
    const encoded = endpoint.places.url(name)
    const { origin, pathname } = new URL(encoded)
    const path = decoded(pathname) ?? pathname
    if (path === pathname) return encoded
    decodes ??= await decodesDestination(endpoint, plainFolderAbove(name), signal)
    // Node writes each character of a header as one byte.
    return decodes ? encoded : `${origin}${Buffer.from(path).toString('latin1')}`
  }
}

/** The folders above a file, up to the first whose name needs encoding. */
function plainFolderAbove(name: string): string {
  const folders = folderOf(name).split('/').slice(0, -1)
  const odd = folders.findIndex((folder) => encodeURIComponent(folder) !== folder)
  return folders
    .slice(0, odd === -1 ? folders.length : odd)
    .map((folder) => `${folder}/`)
    .join('')
}

/** Renames a file to a name of which one letter is encoded, and checks which name it has then. */
async function decodesDestination(endpoint: Asked, folder: string, signal: AbortSignal): Promise<boolean> {
  const { http, places } = endpoint
  const freshUrl = () => places.url(`${folder}.cygnet-0-${randomBytes(6).toString('hex')}.part`)
  const [from, to] = [freshUrl(), freshUrl()]
  const destination = to.replace(/t$/, '%74')
  const { origin, pathname } = new URL(destination)
  const verbatim = `${origin}${pathname.replaceAll('%', '%25')}`
  const what = 'the test of how it reads a Destination'
  const send = async (request: Omit<Parameters<typeof http.request>[0], 'url' | 'what'>) => {
    const answer = await http.request({ url: from, what, ...request }, signal)
    if (![200, 201, 202, 204].includes(answer.status)) throw await refusal(answer, what)
    await discard(answer)
  }
  try {
    await send({ method: 'PUT', body: { text: 'Cygnet tests a rename.\n' } })
    await send({ method: 'MOVE', headers: { Destination: destination, Overwrite: 'F' } })
    if ((await sizeAt(http, to, signal)) !== null) return true
    if ((await sizeAt(http, verbatim, signal)) !== null) return false
    throw new TransientError(`${places.root.host} renamed a file, and does not have it under its new name`)
  } finally {
    for (const url of [from, to, verbatim]) await tidy(endpoint, url)
  }
}
