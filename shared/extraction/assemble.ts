/** Builds the metadata of a file from what was read. */
import { InvalidInputError } from '../errors.ts'
import { type Camera, cameraOf } from '../midas/camera.ts'
import { namedCompression } from '../midas/decompress/decoder.ts'
import { type DigitizerBoard, decodeDigitizerHeader, digitizerBoards } from '../midas/digitizer.ts'
import type { Finding } from '../midas/finding.ts'
import { type OdbTree, parseOdb } from '../midas/odb/odb.ts'
import type { WalkResult } from '../midas/walk-result.ts'
import { parseRunKey } from '../run.ts'
import type { Checksums, FileMetadata } from './metadata.ts'
import { runParameters, runTimes } from './run-parameters.ts'
import type { WalkedFile } from './walk-file.ts'

/** @throws InvalidInputError when neither the file's contents nor its name contain a run number. */
export function assembleMetadata(
  fileName: string,
  file: WalkedFile,
  whole: { readonly sizeBytes: number; readonly checksums: Checksums },
): FileMetadata {
  const { compression, walked } = file
  const warnings: Finding[] = []
  const name = runFileNumbers(fileName)
  const runNumber = walked.runNumber ?? name?.runNumber
  if (runNumber === undefined)
    throw new InvalidInputError(
      `no run number: there is no begin-of-run event in the file, and its name is not that of a run (${fileName})`,
    )
  if (name !== null && name.runNumber !== runNumber) {
    const message = `the file is named after run ${name.runNumber}, but its begin-of-run event is of run ${runNumber}`
    warnings.push({ code: 'run-number-mismatch', message, offset: null })
  }
  const named = namedCompression(fileName)
  if (named !== compression) {
    const message = `by its name the file has ${describeCompression(named)}, by its contents ${describeCompression(compression)}`
    warnings.push({ code: 'compression-name-mismatch', message, offset: null })
  }
  const begin = readDump(walked.beginDump, 'begin-of-run', warnings)
  const end = readDump(walked.endDump, 'end-of-run', warnings)
  const { problem, more } = judge(file)
  warnings.push(...more, ...walked.warnings, ...garbage(file, whole.sizeBytes))
  return {
    fileName,
    runNumber,
    subrun: name?.subrun ?? null,
    compression,
    complete: problem === null,
    problem,
    sizeBytes: whole.sizeBytes,
    uncompressedBytes: walked.uncompressedBytes,
    checksums: whole.checksums,
    eventCount: walked.eventCount,
    eventsById: walked.eventsById,
    internalEvents: walked.internalEvents,
    firstEventTime: walked.firstEventTime,
    lastEventTime: walked.lastEventTime,
    serialGaps: walked.serialGaps,
    banks: walked.banks,
    cameras: readCameras(walked, warnings),
    digitizers: readDigitizers(walked, warnings),
    odb: runParameters(begin, end),
    ...runTimes(begin, end),
    warnings,
  }
}

/** Parses a file name without a tag. */
const runFileNumbers = (fileName: string) => parseRunKey(`TAG/${fileName}`)

const describeCompression = (compression: WalkedFile['compression']) =>
  compression === 'none' ? 'no compression' : `${compression} compression`

/**
 * The most severe fault is the problem: first faults of the compression, then damaged events, then the end of
 * the stream. The others are warnings, unless they are only consequences.
 */
function judge({ compression, decoded, walked }: WalkedFile): {
  readonly problem: Finding | null
  readonly more: readonly Finding[]
} {
  const ending = walked.ending === null ? [] : [walked.ending]
  if (decoded.problem === null) {
    const [problem = null, ...more] = [...walked.damage, ...ending]
    return { problem, more }
  }
  const { kind, offset, message } = decoded.problem
  const read = `${walked.eventCount} whole ${walked.eventCount === 1 ? 'event was' : 'events were'} read from ${walked.uncompressedBytes} bytes`
  const problem: Finding = { code: `${compression}-${kind}`, message: `${message}; ${read}`, offset }
  return { problem, more: kind === 'checksum' ? [...walked.damage, ...ending] : walked.damage }
}

function garbage({ compression, decoded }: WalkedFile, sizeBytes: number): readonly Finding[] {
  const offset = decoded.garbageOffset
  if (offset === null) return []
  const message = `${sizeBytes - offset} bytes of garbage follow the ${compression} stream, from byte ${offset} on`
  return [{ code: 'trailing-garbage', message, offset }]
}

/** Runs a decoder whose failure only causes a warning. */
function orWarn<T>(code: string, warnings: Finding[], decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    warnings.push({ code, message: error.message, offset: null })
    return null
  }
}

function readDump(
  dump: Uint8Array | null,
  of: 'begin-of-run' | 'end-of-run',
  warnings: Finding[],
): OdbTree | null {
  if (dump === null) return null
  const parsed = orWarn('odb-unreadable', warnings, () => {
    try {
      return parseOdb(dump)
    } catch (error) {
      if (error instanceof InvalidInputError)
        throw new InvalidInputError(`the ${of} event: ${error.message}`, {}, { cause: error })
      throw error
    }
  })
  // Both dumps come from the same program: a fault in one is in the other as well.
  for (const warning of parsed?.warnings ?? [])
    if (warnings.every(({ code }) => code !== warning.code)) warnings.push(warning)
  return parsed?.tree ?? null
}

function readCameras({ cameraBytes }: WalkResult, warnings: Finding[]): readonly Camera[] {
  return [...cameraBytes]
    .toSorted(([a], [b]) => a - b)
    .flatMap(
      ([number, sizeBytes]) =>
        orWarn('camera-size-unknown', warnings, () => cameraOf(number, sizeBytes)) ?? [],
    )
}

function readDigitizers(
  { digitizerHeader }: WalkResult,
  warnings: Finding[],
): readonly DigitizerBoard[] | null {
  if (digitizerHeader === null) return null
  const { data, type } = digitizerHeader
  return orWarn('digitizer-header-unreadable', warnings, () =>
    digitizerBoards(decodeDigitizerHeader(data, type)),
  )
}
