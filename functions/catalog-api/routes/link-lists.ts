/** Lists of links for programs that fetch many files. */
import type { FileOfRun } from '../../../shared/replicas/catalogue-links.ts'

export const LIST_FORMATS = ['wget', 'aria2', 'md5sum'] as const
export type ListFormat = (typeof LIST_FORMATS)[number]

type There = Extract<FileOfRun, { readonly kind: 'link' }>

/**
 * wget: one address a line for `wget --content-disposition -c -i`; name and checksums stand behind a # in it, which is not sent.
 * aria2: for `aria2c -c -i`, which keeps the folder of the tag and compares SHA-256. md5sum: for `md5sum -c` in the folder above.
 */
export function listOf(links: readonly There[], format: ListFormat): string {
  switch (format) {
    case 'wget':
      return lines(links.map((link) => `${link.url}#name=${pathOf(link)}&md5=${link.md5}&adler32=${link.adler32}`))
    case 'aria2':
      return lines(links.flatMap((link) => [link.url, `  out=${pathOf(link)}`, `  checksum=sha-256=${link.sha256}`]))
    case 'md5sum':
      return lines(links.map((link) => `${link.md5}  ${pathOf(link)}`))
  }
}

/** Keys of runs have neither control characters nor segments that lead elsewhere: see run-key.ts. */
const pathOf = ({ tag, fileName }: There) => `${tag}/${fileName}`

const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join('')
