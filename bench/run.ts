/**
 * `npm run bench [-- extraction pipeline catalogue tape bundles]`: measures, and writes docs/benchmarks.md.
 * Compared values are measured in the same run and given as ratios, since seconds of one machine mean little
 * on another.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { InvalidInputError } from '../shared/errors.ts'
import { COLD_IMPORT_TARGET_MS, measureBundles } from './bundles.ts'
import { benchCatalogue, type CatalogueBench } from './catalogue.ts'
import { benchExtraction, type ExtractionBench } from './extraction.ts'
import { benchPipeline, type PipelineResult } from './pipeline.ts'
import type { Timed } from './tape/measure.ts'
import { benchTape, type CopyTimes, type TapeBench } from './tape.ts'

const PAGE = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url))
const PARTS = ['extraction', 'pipeline', 'catalogue', 'tape', 'bundles'] as const
const LIMIT_MS = 60 * 60 * 1000

const TARGETS = {
  zlib: 0.55,
  igzip: 0.25,
  rssMB: 200,
  latencyP99Ms: 500,
  objectsPerSecond: 100,
  pipe: 0.9,
  twoSteps: 1.8,
  copyRssMB: 150,
}

const log = (line: string) => void process.stderr.write(`${line}\n`)
const verdict = (met: boolean) => (met ? 'met' : '**missed**')
const table = (header: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

function extractionSection({ times, memory }: ExtractionBench): string {
  const row = (by: string, seconds: number, target: number) => {
    const ratio = seconds / times.zcatSeconds
    return [by, seconds.toFixed(1), ratio.toFixed(2), `≤ ${target}`, verdict(ratio <= target)]
  }
  const rows = [row('node:zlib', times.zlibSeconds, TARGETS.zlib)]
  if (times.igzipSeconds !== null) rows.push(row('igzip', times.igzipSeconds, TARGETS.igzip))
  const alone =
    times.igzipAloneSeconds === null
      ? ''
      : ` The igzip program by itself takes ${(times.igzipAloneSeconds / times.zcatSeconds).toFixed(2)} of it.`
  const memoryRows = memory.map(({ sizeBytes, igzip, peakRssBytes }) => {
    const peakMB = Math.round(peakRssBytes / 1e6)
    return [
      `${Math.round(sizeBytes / 1e6)} MB`,
      igzip === 'auto' ? 'igzip' : 'node:zlib',
      peakMB,
      verdict(peakMB <= TARGETS.rssMB),
    ]
  })
  return `## Extraction

A simulated gzip run of ${Math.round(times.sizeBytes / 1e6)} MB holding ${Math.round(times.uncompressedBytes / 1e6)} MB, read whole: all events walked, md5, sha256 and adler32 computed, in a process of its own
from its start to its end. \`zcat >/dev/null\` on the same file took ${times.zcatSeconds.toFixed(1)} s (medians, taken in turn).${alone}

${table(['decompression by', 's', 'ratio to zcat', 'target', ''], rows)}

Peak memory of the whole process (target ≤ ${TARGETS.rssMB} MB, flat):

${table(['file', 'decompression by', 'peak RSS, MB', ''], memoryRows)}`
}

function pipelineSection({ objectBytes, latencyMs, pouring, backlog }: PipelineResult): string {
  const throughput = (name: string, row: PipelineResult['backlog']) => [
    name,
    row.objects,
    row.objectsPerSecond.toFixed(0),
    row.lost,
    verdict(row.objectsPerSecond >= TARGETS.objectsPerSecond && row.lost === 0),
  ]
  return `## From PUT to catalogue row

The whole stack on this machine: embedded S3 and SQS, MariaDB with a flush at every commit, one process of extract-metadata per core. Objects of ${objectBytes} bytes.

One by one, from the beginning of the PUT until another connection sees the row (${latencyMs.samples} samples): p50 ${latencyMs.p50.toFixed(0)} ms, p99 ${latencyMs.p99.toFixed(0)} ms, worst
${latencyMs.max.toFixed(0)} ms. Target p99 ≤ ${TARGETS.latencyP99Ms} ms: ${verdict(latencyMs.p99 <= TARGETS.latencyP99Ms)}.

Sustained (target ≥ ${TARGETS.objectsPerSecond} objects/s, none lost):

${table(['', 'objects', 'objects/s', 'lost', ''], [throughput('uploaded and catalogued at once', pouring), throughput('a backlog found by reconcile', backlog)])}`
}

function catalogueSection({ runs, latencies, legacy }: CatalogueBench): string {
  const latencyRows = latencies.map(({ what, targetMs, samples, p50, p99, max, refused }) => [
    what,
    samples,
    ...[p50, p99, max].map((ms) => ms.toFixed(1)),
    `≤ ${targetMs}`,
    refused > 0 ? `**missed**, ${refused} given up after 5 s` : verdict(p99 <= targetMs),
  ])
  const legacyRows = legacy.map(({ what, bytes, oursPerSecond, plainPerSecond }) => [
    what,
    bytes,
    ...[oursPerSecond, plainPerSecond].map((perSecond) => perSecond.toFixed(perSecond < 10 ? 2 : 0)),
    (oursPerSecond / plainPerSecond).toFixed(2),
  ])
  return `## The catalogue

${runs.toLocaleString('en')} runs of three tags in MariaDB, each with its parameters, file, copies, history and Runlog row. catalog-api in a process of its own on one core, asked over HTTP with
an API token, one request after the other; milliseconds until the last byte.

${table(['request', 'requests', 'p50, ms', 'p99, ms', 'worst, ms', 'target p99, ms', ''], latencyRows)}

The old tools' endpoint, four clients at once, against a plain endpoint on the same core (\`SELECT *\`, all rows in memory, nobody signed in):

${table(['request', 'bytes', 'requests/s', 'of the plain one', 'ratio'], legacyRows)}`
}

function tapeSection({ limited, unlimited, memory, thirdParty }: TapeBench): string {
  const rowsOf = (where: string, { streamed, pipe, comparedPipe, twoSteps }: CopyTimes) => {
    const row = (peer: string, { seconds }: Timed, target: number) => {
      const ratio = seconds / streamed.seconds
      return [
        where,
        peer,
        seconds.toFixed(1),
        streamed.seconds.toFixed(1),
        ratio.toFixed(2),
        `≥ ${target}`,
        verdict(ratio >= target),
      ]
    }
    return [
      row('download, then upload', twoSteps, TARGETS.twoSteps),
      row('curl \\| curl, then the checksum of the endpoint compared', comparedPipe, TARGETS.pipe),
      row('curl \\| curl alone', pipe, TARGETS.pipe),
    ]
  }
  const megabytes = (bytes: number) => Math.round(bytes / 1e6)
  const rate = `${megabytes(limited.bytesPerSecond)} MB/s`
  const rows = [
    ...rowsOf(`each end behind a link of ${rate}`, limited),
    ...rowsOf('no links, one machine', unlimited),
  ]
  const cores = ({ seconds, coreSeconds }: Timed) => (coreSeconds / seconds).toFixed(1)
  const { download, upload, twoSteps } = unlimited
  const [longer, longerSeconds] =
    upload.seconds > download.seconds ? ['upload', upload.seconds] : ['download', download.seconds]
  const memoryRows = memory.map(({ sizeBytes, peakRssBytes }) => {
    const peakMB = megabytes(peakRssBytes)
    return [`${megabytes(sizeBytes)} MB`, peakMB, verdict(peakMB <= TARGETS.copyRssMB)]
  })
  return `## A copy to tape

From the embedded S3 to a real XRootD server by WebDAV over TLS. Ours is streamed by the webdav driver, from the first check of the object to the verified file under its name; curl computes nothing
on the way. Medians, taken in turn.

${table(['between the ends', 'peer', 's', 'ours, s', 'its time to ours', 'target', ''], rows)}

Behind links (a relay in front of each server, ${rate} each way, ${megabytes(limited.sizeBytes)} MB) the links decide, as in production: one alone needs ${(limited.sizeBytes / limited.bytesPerSecond).toFixed(1)} s for the file, and all processes
together, relays included, keep ${cores(limited.streamed)} of ${cpus().length} cores busy while ours is streamed. Without them (${megabytes(unlimited.sizeBytes)} MB) there is less to save. No streamed copy is faster than its longer
leg: the ${longer} takes ${longerSeconds.toFixed(1)} of the ${twoSteps.seconds.toFixed(1)} s by itself, so ${(twoSteps.seconds / longerSeconds).toFixed(2)} would be the most; and both legs at once share ${cpus().length} cores, of which the download by itself keeps ${cores(download)} at
work and the upload ${cores(upload)}.

Peak memory of the whole process that streams (target ≤ ${TARGETS.copyRssMB} MB):

${table(['file', 'peak RSS, MB', ''], memoryRows)}

Fetched by the endpoint itself (${thirdParty.how}): ${thirdParty.bytesThroughUs} bytes through us, ${thirdParty.seconds.toFixed(1)} s, verified: ${thirdParty.verifiedBy}.`
}

function bundlesSection(bundles: Awaited<ReturnType<typeof measureBundles>>): string {
  const rows = bundles.map((row) => [
    row.function,
    Math.round(row.bundleBytes / 1000),
    Math.round(row.zipBytes / 1000),
    row.coldImportMs.toFixed(0),
    verdict(row.coldImportMs <= COLD_IMPORT_TARGET_MS),
  ])
  return `## Bundles

Each function by itself; cold import is the median of new processes (target ≤ ${COLD_IMPORT_TARGET_MS} ms).

${table(['function', 'bundle, kB', 'zip, kB', 'cold import, ms', ''], rows)}`
}

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !PARTS.some((part) => part === name))
  if (unknown.length > 0)
    throw new InvalidInputError(`there is no benchmark ${unknown.join(', ')}; there are ${PARTS.join(', ')}`)
  const wanted = names.length === 0 ? PARTS : PARTS.filter((part) => names.includes(part))
  const measured: string[] = []
  if (wanted.includes('extraction')) measured.push(extractionSection(await benchExtraction(log)))
  if (wanted.includes('pipeline'))
    measured.push(pipelineSection(await benchPipeline(AbortSignal.timeout(LIMIT_MS), log)))
  if (wanted.includes('catalogue')) measured.push(catalogueSection(await benchCatalogue(log)))
  if (wanted.includes('tape')) measured.push(tapeSection(await benchTape(log)))
  if (wanted.includes('bundles')) measured.push(bundlesSection(await measureBundles()))
  process.stdout.write(`${measured.join('\n\n')}\n`)
  writeFileSync(PAGE, pageWith(readFileSync(PAGE, 'utf8'), measured))
}

/** The page with these sections in place of those with the same titles; the other sections are kept. */
function pageWith(page: string, measured: readonly string[]): string {
  const [cpu] = cpus()
  const machine = `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 1e9)} GB, Node ${process.versions.node}, ${process.platform}`
  const today = new Date().toISOString().slice(0, 10)
  const dated = measured.map((section) => `${section.trimEnd()}\n\n*Measured on ${today}: ${machine}.*`)
  const titleOf = (section: string) => section.split('\n', 1)[0] ?? ''
  const kept = new Map(
    page
      .split(/\n(?=## )/)
      .slice(1)
      .map((section) => [titleOf(section), section.trimEnd()]),
  )
  for (const section of dated) kept.set(titleOf(section), section)
  return `# Benchmarks\n\nWritten by \`npm run bench\`. Take the ratios, not the seconds.\n\n${[...kept.values()].join('\n\n')}\n`
}

await main(process.argv.slice(2))
