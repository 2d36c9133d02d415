/** Where a run is: every present and former copy of its files, with its evidence and the age of that. */
import { html } from 'hono/html'
import { OVER } from '../../../shared/catalogue/replica-states.ts'
import type { ShownCopy } from '../../../shared/database/replica-schema.ts'
import type { Arrival, RunFile } from '../../../shared/database/schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { isFailingCopy } from '../../../shared/queries/site-state.ts'
import { copyText, EVIDENCE_TEXTS, PLACES } from '../../../shared/queries/state-words.ts'
import type { Period } from '../../../shared/queries/verified-now.ts'
import { bytes, counted } from './format.ts'
import { agoOf, type Content, facts, fold, type Html, mark, NOTHING, timeOf, whenOf } from './parts.ts'
import { copyTone } from './run-marks.ts'

/** The copies of so many files are shown; those of more are folded. */
const MOST_FILES = 4

export function whereItIs({ run, files, refused, replicas }: RunDetails, shown: Period): Html {
  const counting = files.filter((file) => file.isLive && file.counts)
  const isCurrent = (copy: ShownCopy) =>
    !OVER.includes(copy.state) && counting.some((file) => isCopyOf(copy, file))
  const former = replicas.filter((copy) => !isCurrent(copy))
  const blocks = counting.map((file) =>
    copiesOfFile(
      file,
      replicas.filter((copy) => isCurrent(copy) && isCopyOf(copy, file)),
      counting.length > 1,
      shown,
    ),
  )
  return html`<section class="card where" aria-labelledby="copies"><h2 id="copies">Where it is</h2>
${refused.map((file) => refusedItem(file, shown.now))}
${counting.length === 0 ? html`<p class="empty">${run.firstFileAt === null ? 'No file of this run has arrived yet. It appears here as soon as the DAQ has put it into the store.' : 'No file of this run can be read any more.'}</p>` : NOTHING}
${blocks.slice(0, MOST_FILES)}
${blocks.length > MOST_FILES ? fold('more-files', counted(blocks.length - MOST_FILES, 'more file'), html`${blocks.slice(MOST_FILES)}`) : NOTHING}
${former.length === 0 ? NOTHING : fold('former-copies', `${counted(former.length, 'copy', 'copies')} no longer kept, or of other contents`, copyList(former, shown))}
</section>`
}

const isCopyOf = (copy: ShownCopy, file: RunFile): boolean =>
  copy.bucket === file.bucket && copy.objectKey === file.objectKey && copy.sha256 === file.sha256

const refusedItem = ({ bucket, objectKey, reason, finishedAt }: Arrival, now: Date): Html =>
  html`<article class="refused"><p>${mark('bad', 'file refused')} <code class="address">${bucket}/${objectKey}</code></p>
<p class="problem">${reason ?? 'no reason known'}</p>${finishedAt === null ? NOTHING : html`<p class="quiet">${whenOf(finishedAt, now)}. It stays in the store unchanged.</p>`}</article>`

function copiesOfFile(
  file: RunFile,
  copies: readonly ShownCopy[],
  isOneOfMany: boolean,
  shown: Period,
): Html {
  const name = file.objectKey.slice(file.objectKey.lastIndexOf('/') + 1)
  return html`${isOneOfMany ? html`<h3><code>${name}</code> <small class="quiet">${bytes(file.sizeBytes)}</small></h3>` : NOTHING}
${copies.length === 0 ? html`<p class="empty">No copy of this file is known.</p>` : copyList(copies, shown)}`
}

const copyList = (copies: readonly ShownCopy[], shown: Period): Html =>
  html`<ul class="copies">${copies.map((copy) => copyItem(copy, shown))}</ul>`

function copyItem(copy: ShownCopy, period: Period): Html {
  const { now } = period
  const tone = copyTone(copy, period)
  const { lastError: error, attempts, expiresAt: until, doubtedEvidence: doubt } = copy
  const isBad = tone === 'bad'
  return html`<li><details id="copy-${copy.kind}-${copy.id}"><summary><span class="place">${PLACES[copy.kind]}</span> ${mark(tone, isFailingCopy(copy) ? `${copyText(copy.state)}, failing` : copyText(copy.state))} <span class="proof quiet">${proofOf(copy, now)}</span></summary>
${facts([
  ['Address', html`<code class="address">${copy.url}</code>`],
  ['Evidence', copy.verifiedBy === null ? null : `${copy.verifiedEvidence ?? 'unknown'}: ${copy.verifiedBy}`],
  ['Verified', timeOrNull(copy.verifiedAt)],
  ['Last checked', timeOrNull(copy.checkedAt)],
  ['Stored', timeOrNull(copy.storedAt)],
  ['Deleted', timeOrNull(copy.deletedAt)],
  ['Size', bytes(copy.sizeBytes)],
])}</details>
${error === null ? NOTHING : html`<p class="${isBad ? 'problem' : 'quiet'}">${error} (attempt ${attempts})</p>`}${doubt === null ? NOTHING : html`<p class="problem">contradicted since: ${EVIDENCE_TEXTS[doubt]} (${doubt})</p>`}${until === null ? NOTHING : html`<p class="quiet">stays until ${timeOf(until)}</p>`}${nextText(copy, now)}</li>\n`
}

function nextText({ state, nextAttemptAt: next }: ShownCopy, now: Date): Html {
  if (next !== null) return html`<p class="quiet">tried again ${whenOf(next, now)}</p>`
  return state === 'failed' ? html`<p class="quiet">not tried again by itself</p>` : NOTHING
}

const timeOrNull = (at: Date | null): Content => (at === null ? null : timeOf(at))

/** What the state rests on, and since when. */
function proofOf({ verifiedAt: at, verifiedEvidence: evidence, requestedAt }: ShownCopy, now: Date): Html {
  if (at === null) return html`requested ${agoOf(requestedAt, now)}, not verified yet`
  return html`${evidence === null ? 'verified' : EVIDENCE_TEXTS[evidence]} ${agoOf(at, now)}`
}
