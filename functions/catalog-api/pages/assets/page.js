/** For every page: ages that stay true, and buttons that copy. Pages work without it. */

const UNITS = [
  [90, 1, 's'],
  [90 * 60, 60, 'min'],
  [36 * 3600, 3600, 'h'],
  [Number.POSITIVE_INFINITY, 86_400, 'd'],
]
const EVERY_MS = 10_000
const COPIED_MS = 2000

/** As format.ts writes it. */
function age(at) {
  const seconds = Math.max(0, Math.round((Date.now() - at) / 1000))
  const [, unitSeconds, unit] = UNITS.find(([limit]) => seconds < limit)
  return `${Math.floor(seconds / unitSeconds)} ${unit}`
}

setInterval(() => {
  for (const time of document.querySelectorAll('time[data-age]')) time.textContent = age(Date.parse(time.dateTime))
}, EVERY_MS)

for (const button of document.querySelectorAll('button[data-copy]')) {
  // Only pages that came safely may write to the clipboard.
  if (navigator.clipboard === undefined) continue
  button.hidden = false
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
    const { textContent } = button
    button.textContent = 'Copied'
    setTimeout(() => {
      button.textContent = textContent
    }, COPIED_MS)
  })
}
