/**
 * Parses our own pages of docs/: headings, paragraphs, and code blocks that may be files of their own. Links,
 * lists and tables, which these pages do not contain, would be shown unchanged.
 */

export type Block =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: string }
  /** `file`: the name of the file with this code, to which the preceding paragraph links. */
  | { readonly kind: 'code'; readonly text: string; readonly file: string | null }

const FENCE = /^```\w*\n?/m
const LINK_TO_FILE = /^\[[^\]]*\]\((?:[^)]*\/)?([^)/]+)\):$/

/** The blocks of a page below its title, in order. */
export function parseMarkdown(page: string): readonly Block[] {
  const blocks: Block[] = []
  let file: string | null = null
  for (const [index, part] of page.split(FENCE).entries()) {
    if (index % 2 === 1) {
      blocks.push({ kind: 'code', text: part.trimEnd(), file })
      file = null
      continue
    }
    for (const text of part.split(/\n{2,}/).map((words) => words.trim().replaceAll('\n', ' '))) {
      const [, name = null] = LINK_TO_FILE.exec(text) ?? []
      if (name !== null) file = name
      else if (text.startsWith('## ')) blocks.push({ kind: 'heading', text: text.slice(3) })
      else if (text !== '' && !text.startsWith('# ')) blocks.push({ kind: 'paragraph', text })
    }
  }
  return blocks
}
