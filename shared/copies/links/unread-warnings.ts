/**
 * Links where nobody reads a warning: the addresses of the old tools, and lists for programs. A file whose bytes
 * disagree with a stated checksum has none there, because a bare link would state that it can be used (ADR 23).
 * A cut or unconfirmed file has one; its warning goes along where the answer has room for it. Pure.
 */
import type { FileLink } from './find-files.ts'

export function whereNobodyReadsWarnings(link: FileLink): FileLink {
  if (link.kind !== 'link' || !link.disputed) return link
  const { url: _, expiresAt: __, ...file } = link
  const why = `it ${file.warning ?? 'is disputed'}; \`cygnet link\`, the page of the run and the links of the API as JSON offer it with this warning`
  return { ...file, kind: 'unavailable', why }
}
