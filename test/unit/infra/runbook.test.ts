/** An alert links to a section of the runbook that helps a shifter at once. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { messagesPage } from '../../../infra/generate/messages-page.ts'
import { ALERT_RULES } from '../../../shared/messages/alert-rules.ts'

/** The text of each section by its anchor, as GitHub makes them. */
async function sections(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(new URL('../../../docs/runbook.md', import.meta.url), 'utf8')
  const parts = text.split(/^## /m).slice(1)
  return new Map(
    parts.map((part) => {
      const [heading = ''] = part.split('\n')
      const anchor = heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-')
      return [anchor, part]
    }),
  )
}

test.each(Object.entries(ALERT_RULES))(
  'the runbook states what to do first about %s, when it is over, and what it means for the data',
  async (rule, { runbook }) => {
    const section = (await sections()).get(runbook) ?? ''
    const shown = section.slice(0, section.indexOf('\n\n', section.indexOf('\n\n') + 2))
    for (const word of ['**First**: ', '**Over** when ', '**The data**: ']) expect(shown).toContain(word)
    expect(messagesPage()).toMatch(new RegExp(`\\| \`${rule}\` .*\\(runbook\\.md#${runbook}\\)`))
  },
)

test('what a shifter reads first of a section fits on the screen of a phone', async () => {
  const anchors = new Set<string>(Object.values(ALERT_RULES).map(({ runbook }) => runbook))
  for (const [anchor, text] of await sections())
    if (anchors.has(anchor)) expect(text.split('\n\n')[1]?.length, anchor).toBeLessThan(700)
})
