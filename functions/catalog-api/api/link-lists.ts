/** Lists of links for programs that fetch many files. */
import type { FileLink } from '../../../shared/copies/links/find-files.ts'

export const LIST_FORMATS = ['wget', 'aria2', 'md5sum'] as const
export type ListFormat = (typeof LIST_FORMATS)[number]

type AvailableLink = Extract<FileLink, { readonly kind: 'link' }>

/**
 * The commands that download the files of a list, each into the folder of its tag. Not `wget -c`: with
 * --content-disposition it sends a HEAD first, and the method is part of a link's signature. So wget skips
 * existing files (-nc), and md5sum finds an incomplete one. The first folder of the addresses, the bucket, is
 * cut off.
 */
export const LIST_COMMANDS: Readonly<Record<ListFormat, string>> = {
  wget: 'wget -nc -x -nH --cut-dirs=1 --content-disposition -i links.txt',
  aria2: 'aria2c -c -i links.txt',
  md5sum: 'md5sum -c sums.txt',
}

/**
 * wget: one address per line; name, checksums and a warning follow a #, which is not sent. aria2 compares SHA-256
 * itself. md5sum: to be run in the download folder. The last two have a warning as a comment.
 */
export function listOf(links: readonly AvailableLink[], format: ListFormat): string {
  switch (format) {
    case 'wget':
      return lines(
        links.map((link) => {
          const warning = link.warning === null ? '' : `&warning=${encodeURIComponent(link.warning)}`
          return `${link.url}#name=${pathOf(link)}&md5=${link.md5}&adler32=${link.adler32}${warning}`
        }),
      )
    case 'aria2':
      return lines(
        links.flatMap((link) => [
          ...warningOf(link),
          link.url,
          `  out=${pathOf(link)}`,
          `  checksum=sha-256=${link.sha256}`,
        ]),
      )
    case 'md5sum':
      return lines(links.flatMap((link) => [...warningOf(link), `${link.md5}  ${pathOf(link)}`]))
  }
}

/** Keys of runs contain no control characters and no segments that lead elsewhere: see shared/run.ts. */
const pathOf = ({ tag, fileName }: AvailableLink) => `${tag}/${fileName}`

/** Control characters would end the comment. */
const warningOf = ({ tag, fileName, warning }: AvailableLink) =>
  warning === null ? [] : [`# ${tag}/${fileName} ${warning.replace(/\p{Cc}+/gu, ' ')}`]

const lines = (texts: readonly string[]) => texts.map((text) => `${text}\n`).join('')
