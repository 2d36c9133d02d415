/** A page as somebody uses it who has no mouse. */
import type { Page } from 'playwright-core'
import { expect } from 'vitest'

/** More than any page of these has. */
const MOST_STEPS = 120

export const focused = (page: Page) =>
  page.evaluate<{ name: string; text: string }>(
    `({ name: document.activeElement.name ?? '', text: document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim() })`,
  )

/** Presses Tab until the focus is on what bears this name or text; what it is on can be seen. */
export async function tabTo(
  page: Page,
  wanted: { readonly name: string } | { readonly text: string },
): Promise<void> {
  for (let step = 0; step < MOST_STEPS; step++) {
    await page.keyboard.press('Tab')
    const at = await focused(page)
    const isSeen = await page.evaluate<boolean>(
      `getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement.matches('body')`,
    )
    expect({ ...at, isSeen }).toMatchObject({ isSeen: true })
    if ('name' in wanted ? at.name === wanted.name : at.text === wanted.text) return
  }
  throw new Error(`no way by Tab to ${JSON.stringify(wanted)}`)
}
