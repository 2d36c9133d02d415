/** For every page: updates ages, makes copy buttons work, and `/` leads to the jump box. Pages work without it. */

const UNITS = [
  [90, 1, 's'],
  [90 * 60, 60, 'min'],
  [36 * 3600, 3600, 'h'],
  [Number.POSITIVE_INFINITY, 86_400, 'd'],
]
const EVERY_MS = 10_000
const COPIED_MS = 2000

/** The same format as in format.ts. */
function age(at) {
  const seconds = Math.max(0, Math.round((Date.now() - at) / 1000))
  const [, unitSeconds, unit] = UNITS.find(([limit]) => seconds < limit)
  return `${Math.floor(seconds / unitSeconds)} ${unit}`
}

setInterval(() => {
  for (const time of document.querySelectorAll('time[data-age]'))
    time.textContent = age(Date.parse(time.dateTime))
}, EVERY_MS)

/** Over plain http, browsers offer only the old copy command; if that fails as well, the text is selected. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent)
    return 'Copied'
  } catch {
    getSelection().selectAllChildren(element)
    return document.execCommand('copy') ? 'Copied' : 'Selected'
  }
}

// Parts of a page are replaced later (live.js): delegation makes their buttons work as well.
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

document.addEventListener('keydown', (event) => {
  const { key, ctrlKey, metaKey, altKey, target } = event
  const isTyping = target instanceof Element && target.closest('input, textarea, select, [contenteditable]')
  const box = document.querySelector('.jump input')
  if (key !== '/' || ctrlKey || metaKey || altKey || isTyping || box === null) return
  event.preventDefault()
  box.focus()
  box.select()
})
