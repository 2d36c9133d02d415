/** Lists of links for programs that fetch many files. */
import type { FileLink } from '../../../shared/copies/links/find-files.ts'

export const LIST_FORMATS = ['wget', 'aria2', 'md5sum'] as const
export type ListFormat = (typeof LIST_FORMATS)[number]

type There = Extract<FileLink, { readonly kind: 'link' }>

/**
 * What makes files of a list, each below the folder of its tag. Not `wget -c`: with --content-disposition it
 * sends a HEAD first, and the method is part of a link's signature. So wget goes on file by file (-nc): one
 * that it left unfinished is found by md5sum. One folder of the addresses, the bucket, is cut off.
 */
export const LIST_COMMANDS: Readonly<Record<ListFormat, string>> = {
  wget: 'wget -nc -x -nH --cut-dirs=1 --content-disposition -i links.txt',
  aria2: 'aria2c -c -i links.txt',
  md5sum: 'md5sum -c sums.txt',
}

/**
 * wget: one address a line; name and checksums stand behind a # in it, which is not sent. aria2 compares
 * SHA-256 by itself. md5sum: to be compared in the folder where the files were fetched.
 */
export function listOf(links: readonly There[], format: ListFormat): string {
  switch (format) {
    case 'wget':
      return lines(
        links.map((link) => `${link.url}#name=${pathOf(link)}&md5=${link.md5}&adler32=${link.adler32}`),
      )
    case 'aria2':
      return lines(
        links.flatMap((link) => [link.url, `  out=${pathOf(link)}`, `  checksum=sha-256=${link.sha256}`]),
      )
    case 'md5sum':
      return lines(links.map((link) => `${link.md5}  ${pathOf(link)}`))
  }
}

/** Keys of runs have neither control characters nor segments that lead elsewhere: see run-key.ts. */
const pathOf = ({ tag, fileName }: There) => `${tag}/${fileName}`

const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join('')
