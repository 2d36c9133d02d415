/** For the table of runs: a counter of chosen runs, a box that chooses all, and ranges with the shift key. */

const form = document.querySelector('form[data-selection]')
const boxes = [...(form?.querySelectorAll('input[name="run"]') ?? [])]
const counter = form?.querySelector('[data-chosen]')

function count() {
  const chosen = boxes.filter((box) => box.checked).length
  counter.textContent = chosen === 0 ? '' : `${chosen} chosen`
}

let last = null
function choose(event) {
  const box = event.target
  const index = boxes.indexOf(box)
  if (index < 0) return
  if (event.shiftKey && last !== null)
    for (const between of boxes.slice(Math.min(last, index), Math.max(last, index) + 1))
      between.checked = box.checked
  last = index
  count()
}

if (counter && boxes.length > 0) {
  const all = document.createElement('input')
  all.type = 'checkbox'
  all.setAttribute('aria-label', 'Choose all runs of this page')
  all.addEventListener('change', () => {
    for (const box of boxes) box.checked = all.checked
    count()
  })
  form.querySelector('thead th').replaceChildren(all)
  form.addEventListener('click', choose)
  // A browser restores the chosen boxes when going back.
  addEventListener('pageshow', count)
}
