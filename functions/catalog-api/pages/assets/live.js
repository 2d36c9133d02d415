/**
 * Follows the catalogue. A part of the page with data-live is fetched anew when something happened (`all`:
 * anything; `TAG/12345`: to this run; `time`: each minute alone, of what costs more to ask); a page without
 * one says that there is news. The server makes the HTML, here it only takes its place.
 */

const GATHER_MS = 400
/** Not everything that moves is a change of a run: queues fill, copies grow old. */
const LOOK_EVERY_MS = 60_000
/** Streams end and begin again all the time; a longer silence is told. */
const SILENCE_MS = 12_000
/** After an answer that was none: a browser gives up by itself then. */
const AGAIN_MS = 15_000
/**
 * The server gives a sign of life every 15 s. A connection on which nothing comes for so long is dead, though
 * no browser says so: of a server that hangs, a network that is gone without a word, a laptop that slept.
 */
const DEAD_MS = 40_000
/** A page that does not come in this time does not come. */
const ANSWER_MS = 15_000
const status = document.querySelector('[data-live-status]')
const region = document.querySelector('[data-live]')
const wanted = region?.dataset.live
const LIVE = wanted === 'time' ? 'renewed every minute' : 'live'

let looking = false
let lookAgain = false
let lookFailed = false
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
    if (lookFailed && silentSince === undefined) sayLive()
    lookFailed = false
  } catch {
    lookFailed = true
    if (silentSince === undefined) say('what is shown may be old: load the page again')
    status?.classList.add('lost')
  } finally {
    looking = false
  }
  if (lookAgain) look()
}

async function refresh() {
  const tooLong = new AbortController()
  setTimeout(() => tooLong.abort(), ANSWER_MS)
  const answer = await fetch(location.href, {
    headers: { accept: 'text/html' },
    redirect: 'error',
    signal: tooLong.signal,
  })
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
    [...region.querySelectorAll('.frame[aria-labelledby]')].map((frame) => [
      frame.getAttribute('aria-labelledby'),
      frame.scrollLeft,
    ]),
  )
  change()
  for (const [index, details] of region.querySelectorAll('details').entries())
    if (open[index] !== undefined) details.open = open[index]
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
    href !== undefined
      ? element.href === href
      : (element.getAttribute('aria-labelledby') ?? element.textContent) === label,
  )
}

let events
let silence
let patience
let heardAt = new Date()
/** Since when a stream is lost that has not come back, so that nobody knows what it would have told. */
let silentSince

/** @param isAgain after the browser had given up, or we had. */
function follow(isAgain) {
  const own = new EventSource('/api/v1/events')
  events = own
  let missed = isAgain
  own.addEventListener('ready', ({ data }) => {
    heard()
    clearTimeout(silence)
    silence = undefined
    missed ||= silentSince !== undefined || JSON.parse(data).missed
    silentSince = undefined
    status?.classList.add('on')
    if (!lookFailed) status?.classList.remove('lost')
    if (missed) lookAnew()
    else if (news === 0 && !lookFailed) say(LIVE)
    missed = false
  })
  own.addEventListener('alive', heard)
  own.addEventListener('run', (event) => {
    heard()
    const change = JSON.parse(event.data)
    if (!isWanted(change)) return
    news += 1
    if (region === null) return showNews(change)
    say(`run ${change.runNumber} of ${change.tag}: ${change.what}`)
    look()
  })
  own.addEventListener('error', () => {
    status?.classList.remove('on')
    silence ??= setTimeout(tellSilence, SILENCE_MS)
    if (own.readyState !== EventSource.CLOSED) return
    clearTimeout(patience)
    setTimeout(follow, AGAIN_MS, true)
  })
  waitForLife()
}

function heard() {
  heardAt = new Date()
  waitForLife()
}

/** A connection that is being made is given no longer than one that was. */
function waitForLife() {
  clearTimeout(patience)
  patience = setTimeout(() => {
    events.close()
    tellSilence()
    follow(true)
  }, DEAD_MS)
}

function tellSilence() {
  silentSince ??= heardAt
  status?.classList.remove('on')
  status?.classList.add('lost')
  say(`not connected since ${silentSince.toISOString().slice(11, 16)} UTC: what is shown may be old`)
}

function sayLive() {
  status?.classList.remove('lost')
  say(LIVE)
}

function lookAnew() {
  if (region === null) return offer('Runs may have changed since. Show')
  if (!lookFailed) say(LIVE)
  look()
}

/** The table stays as it is while somebody reads it. */
function showNews({ tag, runNumber, what }) {
  offer(
    `${news} ${news === 1 ? 'change' : 'changes'} since, the last: run ${runNumber} of ${tag} ${what}. Show`,
  )
}

function offer(text) {
  const again = document.createElement('a')
  again.href = location.href
  again.textContent = text
  status?.replaceChildren(again)
}

follow(false)
addEventListener('pagehide', () => events.close())
// A page that comes back from the browser's memory begins again.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload()
})
if (region !== null) {
  setInterval(() => document.visibilityState === 'visible' && look(), LOOK_EVERY_MS)
}
