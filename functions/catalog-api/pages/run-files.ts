/** The files of a run with their checksums, and what confirmed these: folded, for whoever compares bytes. */
import { html } from 'hono/html'
import type { RunFile } from '../../../shared/database/schema.ts'
import type { RunDetails } from '../../../shared/queries/runs.ts'
import { isNow, type Period } from '../../../shared/queries/verified-now.ts'
import { bytes, count } from './format.ts'
import { facts, fold, type Html, mark, NOTHING, timeOf } from './parts.ts'

export function filesSection({ files }: Pick<RunDetails, 'files'>, period: Period): Html {
  if (files.length === 0) return NOTHING
  const warnings = files.reduce((sum, file) => sum + file.warnings.length, 0)
  return fold(
    'files',
    html`Files and checksums (${files.length})${warnings === 0 ? NOTHING : html` ${mark('waiting', `${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`)}`}`,
    html`${files.map((file) => fileItem(file, period))}`,
  )
}

const fileItem = (
  file: RunFile,
  period: Period,
): Html => html`<article class="file${file.isLive ? '' : ' former'}">
<h3><code>${file.bucket}/${file.objectKey}</code>${labelOf(file)}</h3>
${file.problem === null ? NOTHING : html`<p class="problem">${file.problem}${file.problemOffset === null ? '' : ` (at byte ${count(file.problemOffset)})`}</p>`}
${file.warnings.length === 0 ? NOTHING : html`<ul class="warnings">${file.warnings.map((warning) => html`<li>${mark('waiting', warning.message)}</li>`)}</ul>`}
${facts([
  [
    'Size',
    `${bytes(file.sizeBytes)} (${count(file.sizeBytes)} B), ${bytes(file.uncompressedBytes)} of events, ${file.compression}`,
  ],
  ['Stored', timeOf(file.lastModified)],
  ['Catalogued', timeOf(file.cataloguedAt)],
  ['Replaced', file.supersededAt === null ? null : timeOf(file.supersededAt)],
  ['Compared', comparisons(file, period)],
  ...file.cameras.map(
    ({ number, model, width, height }) =>
      [`Camera ${number}`, `${model}, ${width}\u00a0×\u00a0${height}`] as const,
  ),
])}
${checksums(file)}</article>`

function labelOf({ isLive, counts }: RunFile): Html {
  if (isLive && counts) return NOTHING
  return html` <span class="label">${isLive ? 'does not count' : 'replaced'}</span>`
}

const checksums = ({ md5, adler32, sha256 }: RunFile): Html => html`<dl class="sums">
<dt>MD5</dt><dd><code>${md5}</code></dd><dt>Adler-32</dt><dd><code>${adler32}</code></dd><dt>SHA-256</dt><dd><code>${sha256}</code></dd></dl>`

/** Compared when the file was catalogued; what is known of its copies now stands with them. */
function comparisons({ digestsCompared: compared, cataloguedAt }: RunFile, period: Period): Html {
  const agreed = isNow(cataloguedAt, period) ? 'good' : 'old'
  if (compared.length === 0) return html`no checksum was stated to compare with`
  return html`${compared.map(({ by, algorithm, agrees }) => html`${mark(agrees ? agreed : 'bad', `${algorithm} of the ${by} ${agrees ? 'agrees' : 'disagrees'}`)} `)}`
}
