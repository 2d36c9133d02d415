/**
 * Follows the catalogue. A part of the page with data-live is reloaded after a change (`all`: any change;
 * `TAG/12345`: of this run; `time`: only once a minute, for data that is expensive to query). A page without
 * data-live reports that there are changes. The server renders the HTML; this script only replaces it.
 */

const GATHER_MS = 400
/** Some data changes without a change of a run: queue depths, ages of copies. */
const RELOAD_EVERY_MS = 60_000
/** Streams end and restart regularly; only a longer interruption is reported. */
const SILENCE_MS = 12_000
/** After an invalid answer a browser gives up by itself; then we reconnect after this time. */
const AGAIN_MS = 15_000
/**
 * The server sends a keep-alive every 15 s. A connection that is silent for this long is dead although the
 * browser reports no error: the server hangs, the network was lost, or the computer slept.
 */
const DEAD_MS = 40_000
/** Time limit for reloading the page. */
const ANSWER_MS = 15_000
const status = document.querySelector('[data-live-status]')
const region = document.querySelector('[data-live]')
const wanted = region?.dataset.live
/** About this page only: whether data is taken is stated by the page Now. */
const LIVE = wanted === 'time' ? 'connected, renewed every minute' : 'connected'

let reloading = false
let reloadAgain = false
let reloadFailed = false
let news = 0

const showStatus = (text) => {
  if (status !== null) status.textContent = text
}

function isWanted({ tag, runNumber }) {
  return wanted === undefined || wanted === 'all' || wanted === `${tag}/${runNumber}`
}

/** Several changes cause one reload; changes during a reload cause another one after it. */
async function reload() {
  reloadAgain = reloading
  if (reloading) return
  reloading = true
  try {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
    await refresh()
    if (reloadFailed && disconnectedSince === undefined) showLive()
    reloadFailed = false
  } catch {
    reloadFailed = true
    if (disconnectedSince === undefined) showLost('the page may be out of date: reload it')
  } finally {
    reloading = false
  }
  if (reloadAgain) reload()
}

async function refresh() {
  const timeout = new AbortController()
  setTimeout(() => timeout.abort(), ANSWER_MS)
  const answer = await fetch(location.href, {
    headers: { accept: 'text/html' },
    redirect: 'error',
    signal: timeout.signal,
  })
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const fresh = page.querySelector('[data-live]')
  if (fresh === null) throw new Error(String(answer.status))
  // A different page: the run was not catalogued before, and is now.
  if (page.title !== document.title) return location.reload()
  keepingPlace(() => region.replaceChildren(...document.importNode(fresh, true).childNodes))
}

/** Preserves focus, open details and sheets, and scroll positions, where the elements still exist. */
function keepingPlace(change) {
  const focused = document.activeElement
  const path = focused !== null && region.contains(focused) ? pathTo(focused) : null
  const open = new Map([...region.querySelectorAll('details[id]')].map(({ id, open }) => [id, open]))
  const scrolled = new Map(
    [...region.querySelectorAll('.frame[aria-labelledby]')].map((frame) => [
      frame.getAttribute('aria-labelledby'),
      frame.scrollLeft,
    ]),
  )
  const sheet = 'popover' in region ? region.querySelector(':popover-open')?.id : undefined
  change()
  if (sheet !== undefined) document.getElementById(sheet)?.showPopover()
  for (const details of region.querySelectorAll('details[id]'))
    if (open.has(details.id)) details.open = open.get(details.id)
  for (const frame of region.querySelectorAll('.frame[aria-labelledby]'))
    frame.scrollLeft = scrolled.get(frame.getAttribute('aria-labelledby')) ?? 0
  if (path !== null) find(path)?.focus({ preventScroll: true })
}

/** Identifies an element by its content instead of its position, since rows are inserted above it. */
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
let deathTimer
let lastEventAt = new Date()
/** The time at which the stream was lost, until it is restored. */
let disconnectedSince

/** @param isAgain after the browser or this script had given up. */
function follow(isAgain) {
  const own = new EventSource('/api/v1/events')
  events = own
  let missed = isAgain
  own.addEventListener('ready', ({ data }) => {
    onEvent()
    clearTimeout(silence)
    silence = undefined
    missed ||= disconnectedSince !== undefined || JSON.parse(data).missed
    disconnectedSince = undefined
    status?.classList.add('on')
    if (!reloadFailed) showCurrent()
    if (missed) refreshAll()
    else if (news === 0 && !reloadFailed) showStatus(LIVE)
    missed = false
  })
  own.addEventListener('alive', onEvent)
  own.addEventListener('run', (event) => {
    onEvent()
    const change = JSON.parse(event.data)
    if (!isWanted(change)) return
    news += 1
    if (region === null) return showNews(change)
    showStatus(`run ${change.runNumber} of ${change.tag}: ${change.what}`)
    reload()
  })
  own.addEventListener('error', () => {
    status?.classList.remove('on')
    silence ??= setTimeout(showDisconnected, SILENCE_MS)
    if (own.readyState !== EventSource.CLOSED) return
    clearTimeout(deathTimer)
    setTimeout(follow, AGAIN_MS, true)
  })
  restartDeathTimer()
}

function onEvent() {
  lastEventAt = new Date()
  restartDeathTimer()
}

/** A connection attempt has the same time limit as a silent connection. */
function restartDeathTimer() {
  clearTimeout(deathTimer)
  deathTimer = setTimeout(() => {
    events.close()
    showDisconnected()
    follow(true)
  }, DEAD_MS)
}

/** What is shown is as old as the last sign of life: it fades, and a bar states its age. */
function showDisconnected() {
  disconnectedSince ??= lastEventAt
  status?.classList.remove('on')
  showLost(
    `not connected since ${disconnectedSince.toISOString().slice(11, 16)} UTC: all values are older than `,
  )
  const age = document.createElement('time')
  age.dateTime = disconnectedSince.toISOString()
  age.dataset.age = ''
  age.textContent = `${Math.round((Date.now() - disconnectedSince) / 1000)} s`
  status?.append(age)
}

function showLost(text) {
  status?.classList.add('lost')
  region?.classList.add('stale')
  showStatus(text)
}

function showCurrent() {
  status?.classList.remove('lost')
  region?.classList.remove('stale')
}

function showLive() {
  showCurrent()
  showStatus(LIVE)
}

function refreshAll() {
  if (region === null) return offer('Runs may have changed. Show')
  if (!reloadFailed) showStatus(LIVE)
  reload()
}

/** The table is not replaced while it is being read. */
function showNews({ tag, runNumber, what }) {
  offer(`${news} ${news === 1 ? 'change' : 'changes'}, the last: run ${runNumber} of ${tag} ${what}. Show`)
}

function offer(text) {
  const again = document.createElement('a')
  again.href = location.href
  again.textContent = text
  status?.replaceChildren(again)
}

follow(false)
addEventListener('pagehide', () => events.close())
// A page restored from the browser's cache reconnects.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload()
})
if (region !== null) {
  setInterval(() => document.visibilityState === 'visible' && reload(), RELOAD_EVERY_MS)
}
