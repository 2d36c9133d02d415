/**
 * Follows the catalogue. A part of the page with data-live is fetched anew when something happened (`all`: anything; `TAG/12345`:
 * to this run; `time`: each minute alone, of what costs more to ask); a page without one says that there is news. The server makes
 * the HTML, here it only takes its place.
 */

const GATHER_MS = 400
/** Not everything that moves is a change of a run: queues fill, copies grow old. */
const LOOK_EVERY_MS = 60_000
/** Streams end and begin again all the time; a longer silence is told. */
const SILENCE_MS = 12_000
/** After an answer that was none: a browser gives up by itself then. */
const AGAIN_MS = 15_000
const status = document.querySelector('[data-live-status]')
const region = document.querySelector('[data-live]')
const wanted = region?.dataset.live
const LIVE = wanted === 'time' ? 'renewed every minute' : 'live'

let looking = false
let lookAgain = false
let news = 0

const say = (text) => {
  if (status !== null) status.textContent = text
}

function isWanted({ tag, runNumber }) {
  return wanted === undefined || wanted === 'all' || wanted === `${tag}/${runNumber}`
}

/** Several changes make one look; what comes during a look makes another one after it. */
async function look() {
  lookAgain = looking
  if (looking) return
  looking = true
  try {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
    await refresh()
  } catch {
    say('what is shown may be old: load the page again')
    status?.classList.add('lost')
  } finally {
    looking = false
  }
  if (lookAgain) look()
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' }, redirect: 'error' })
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const fresh = page.querySelector('[data-live]')
  if (fresh === null) throw new Error(String(answer.status))
  // Another page by now: of a run that was not in the catalogue, and is.
  if (page.title !== document.title) return location.reload()
  keepingPlace(() => region.replaceChildren(...document.importNode(fresh, true).childNodes))
}

/** What has the focus, is open or is scrolled stays so, where it is still there. */
function keepingPlace(change) {
  const focused = document.activeElement
  const path = focused !== null && region.contains(focused) ? pathTo(focused) : null
  const open = [...region.querySelectorAll('details')].map((details) => details.open)
  const scrolled = new Map(
    [...region.querySelectorAll('.frame[aria-labelledby]')].map((frame) => [frame.getAttribute('aria-labelledby'), frame.scrollLeft]),
  )
  change()
  for (const [index, details] of region.querySelectorAll('details').entries()) if (open[index] !== undefined) details.open = open[index]
  for (const frame of region.querySelectorAll('.frame[aria-labelledby]'))
    frame.scrollLeft = scrolled.get(frame.getAttribute('aria-labelledby')) ?? 0
  if (path !== null) find(path)?.focus({ preventScroll: true })
}

/** By what it is rather than by where it stands: rows come above it. */
function pathTo(element) {
  const { href, id } = element
  if (id) return { id }
  return href ? { href } : { label: element.getAttribute('aria-labelledby') ?? element.textContent }
}

function find({ id, href, label }) {
  if (id !== undefined) return document.getElementById(id)
  return [...region.querySelectorAll('a, button, [tabindex], summary')].find((element) =>
    href !== undefined ? element.href === href : (element.getAttribute('aria-labelledby') ?? element.textContent) === label,
  )
}

let silence
/** Whether a stream was lost, so that nobody knows what it would have told. */
let wasLost = false

/** @param isAgain after the browser had given up. */
function follow(isAgain) {
  const events = new EventSource('/api/v1/events')
  let missed = isAgain
  events.addEventListener('ready', ({ data }) => {
    clearTimeout(silence)
    silence = undefined
    missed ||= wasLost || JSON.parse(data).missed
    wasLost = false
    status?.classList.add('on')
    status?.classList.remove('lost')
    if (missed) lookAnew()
    else if (news === 0) say(LIVE)
    missed = false
  })
  events.addEventListener('run', (event) => {
    const change = JSON.parse(event.data)
    if (!isWanted(change)) return
    news += 1
    if (region === null) return showNews(change)
    say(`run ${change.runNumber} of ${change.tag}: ${change.what}`)
    look()
  })
  events.addEventListener('error', () => {
    status?.classList.remove('on')
    silence ??= setTimeout(tellSilence, SILENCE_MS, new Date())
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN_MS, true)
  })
  addEventListener('pagehide', () => events.close())
}

function tellSilence(since) {
  wasLost = true
  status?.classList.add('lost')
  say(`not connected since ${since.toISOString().slice(11, 16)} UTC: what is shown may be old`)
}

function lookAnew() {
  if (region === null) return offer('Runs may have changed since. Show')
  say(LIVE)
  look()
}

/** The table stays as it is while somebody reads it. */
function showNews({ tag, runNumber, what }) {
  offer(`${news} ${news === 1 ? 'change' : 'changes'} since, the last: run ${runNumber} of ${tag} ${what}. Show`)
}

function offer(text) {
  const again = document.createElement('a')
  again.href = location.href
  again.textContent = text
  status?.replaceChildren(again)
}

follow(false)
// A page that comes back from the browser's memory begins again.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload()
})
if (region !== null) {
  setInterval(() => document.visibilityState === 'visible' && look(), LOOK_EVERY_MS)
}
