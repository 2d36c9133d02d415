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
  for (const time of document.querySelectorAll('time[data-age]'))
    time.textContent = age(Date.parse(time.dateTime))
}, EVERY_MS)

/**
 * Over plain http a browser has no clipboard but the old command; where that fails too, what is to be copied
 * is selected.
 */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent)
    return 'Copied'
  } catch {
    getSelection().selectAllChildren(element)
    return document.execCommand('copy') ? 'Copied' : 'Selected'
  }
}

// Parts of a page are replaced while it is looked at (live.js): their buttons work, too.
document.documentElement.classList.add('scripted')
document.addEventListener('click', async ({ target }) => {
  const button = target instanceof Element ? target.closest('button[data-copy]') : null
  if (button === null) return
  const { label = button.textContent } = button.dataset
  button.dataset.label = label
  button.textContent = await copy(document.getElementById(button.dataset.copy))
  setTimeout(() => {
    button.textContent = label
  }, COPIED_MS)
})
