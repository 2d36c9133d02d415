/** Compares Rucio's entry for a name with our file, and maps its address to a name at the tape endpoint. */
import { InvalidInputError } from '../../errors.ts'
import type { TapeDriver, TapeFile } from '../driver.ts'
import { adler32Of, checkedName } from '../names.ts'
import type { RucioReplica } from './answers.ts'
import type { Did } from './client.ts'

/**
 * The scope is the first segment of our name (the bucket), the name in it the rest (the key), as is the
 * experiment's convention.
 */
export function didOf(name: string): Did {
  const [scope = '', ...rest] = checkedName(name).split('/')
  if (rest.length === 0) throw new InvalidInputError(`"${name}" is not a name for Rucio: it has no scope`)
  return { scope, name: rest.join('/') }
}

/** The difference between a file and Rucio's entry of its name; null when there is none. */
export function differenceOf(file: TapeFile, known: RucioReplica): string | null {
  if (known.bytes !== file.sizeBytes)
    return `Rucio knows it with ${known.bytes} bytes instead of ${file.sizeBytes}`
  const adler32 = adler32Of(known.adler32 ?? '')
  if (adler32 !== null && adler32 !== file.adler32)
    return `Rucio knows it with adler32 ${adler32} instead of ${file.adler32}`
  const md5 = known.md5?.toLowerCase() ?? null
  if (md5 !== null && md5 !== file.md5) return `Rucio knows it with md5 ${md5} instead of ${file.md5}`
  // Some of the experiment's older files were registered by their size alone.
  return adler32 === null && md5 === null ? 'Rucio knows it without a checksum' : null
}

/**
 * The name at the tape endpoint of a file, by its addresses on the RSE: null when none is below the endpoint's
 * root. Which of them comes first is Rucio's choice.
 */
export function nameAt(destination: TapeDriver, addresses: readonly string[]): string | null {
  for (const address of addresses) {
    const name = nameBelow(destination, address)
    if (name !== null) return name
  }
  return null
}

function nameBelow(destination: TapeDriver, pfn: string): string | null {
  const root = normalized(destination.url('x'))?.replace(/x$/, '')
  const address = normalized(pfn)
  if (root === undefined || address === null || !address.startsWith(root)) return null
  try {
    return checkedName(address.slice(root.length).split('/').map(decodeURIComponent).join('/'))
  } catch {
    return null
  }
}

/** Endpoints are written as davs or https, with or without the default port, and with doubled slashes. */
function normalized(address: string): string | null {
  const url = URL.parse(address.replace(/^dav(s?):/i, 'http$1:'))
  return url === null ? null : url.origin + url.pathname.replace(/\/{2,}/g, '/')
}
