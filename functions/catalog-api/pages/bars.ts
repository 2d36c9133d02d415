/** Small bar charts as SVG, drawn by the server: without a script, without hovering, and without a shift. */
import { html } from 'hono/html'
import type { Html } from './parts.ts'

const BAR = 6
const STEP = 8
const HEIGHT = 100
/** What is not zero is seen. */
const LEAST = 4

/**
 * @param values one bar each. @param whole what each is a part of, drawn behind it; absent: no background.
 * @param label what the picture states, for those who do not see it.
 */
export function bars(values: readonly number[], label: string, whole?: readonly number[]): Html {
  const most = Math.max(1, ...values, ...(whole ?? []))
  const width = Math.max(1, values.length * STEP)
  return html`<svg class="bars" viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">${whole === undefined ? '' : html`<path class="whole" d="${pathOf(whole, most)}"/>`}<path class="part" d="${pathOf(values, most)}"/><path class="base" d="M0 ${HEIGHT}H${width}"/></svg>`
}

const pathOf = (values: readonly number[], most: number): string =>
  values
    .map((value, index) => {
      if (value <= 0) return ''
      const height = Math.max(LEAST, Math.round((HEIGHT * value) / most))
      return `M${index * STEP + 1} ${HEIGHT}v-${height}h${BAR}v${height}z`
    })
    .join('')
