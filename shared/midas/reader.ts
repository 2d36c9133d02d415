/**
 * Reads a MIDAS stream in pieces of any size without storing events: headers are read, data are skipped, and
 * only ODB dumps and the first digitizer header are kept. Memory is bounded for any input.
 */
import { InvalidInputError } from '../errors.ts'
import { EventGrammar } from './event-grammar.ts'
import { checkStart, START_BYTES } from './events.ts'
import type { Finding } from './finding.ts'
import { Slicer } from './slicer.ts'
import type { Limits, WalkResult } from './walk-result.ts'

const MIB = 1024 * 1024
/** A larger event is treated as a damaged header. */
export const DEFAULT_MAX_EVENT_BYTES = 256 * MIB
/** A larger ODB dump is skipped. */
const DEFAULT_MAX_DUMP_BYTES = 16 * MIB

export interface MidasReader {
  /** Bytes of the stream read so far. */
  readonly position: number
  /** True once nothing that follows can count: the walk found something that is not an event. */
  readonly hasStopped: boolean
  /** Event headers read so far, of any kind. */
  readonly eventsSeen: number
  /**
   * Reads the next bytes of the stream; they are not kept.
   * @throws InvalidInputError when the stream does not start like a MIDAS file.
   */
  push(bytes: Uint8Array): void
  /** Called at the end of the stream. @throws InvalidInputError when the stream had no readable contents. */
  end(): WalkResult
}

export function createReader(limits: Partial<Limits> = {}): MidasReader {
  const grammar = new EventGrammar({
    maxEventBytes: limits.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES,
    maxDumpBytes: limits.maxDumpBytes ?? DEFAULT_MAX_DUMP_BYTES,
  })
  const slicer = new Slicer(grammar)
  const start = new Uint8Array(START_BYTES)
  let startBytes = 0
  const checkAndRead = () => {
    checkStart(start.subarray(0, startBytes), limits.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES)
    slicer.push(start.subarray(0, startBytes))
  }
  return {
    get position() {
      return startBytes < START_BYTES ? startBytes : slicer.position
    },
    get eventsSeen() {
      return grammar.seen
    },
    get hasStopped() {
      return grammar.stop !== null || grammar.garbageOffset !== null
    },
    push(bytes) {
      if (startBytes === START_BYTES) return slicer.push(bytes)
      const taken = Math.min(START_BYTES - startBytes, bytes.length)
      start.set(bytes.subarray(0, taken), startBytes)
      startBytes += taken
      if (startBytes < START_BYTES) return
      checkAndRead()
      slicer.push(bytes.subarray(taken))
    },
    end() {
      if (startBytes < START_BYTES) checkAndRead()
      return result(grammar, slicer)
    },
  }
}

function result(grammar: EventGrammar, slicer: Slicer): WalkResult {
  const { events, banks } = grammar
  const ending = endingProblem(grammar, slicer)
  banks.rollback()
  const { first, last } = events.times
  if (events.count === 0 && grammar.internal.size === 0)
    throw new InvalidInputError(`nothing readable: ${ending?.message ?? 'not one event is whole'}`)
  warnAboutRun(grammar)
  warnAboutNames(grammar)
  const garbage = grammar.garbageOffset
  if (garbage !== null) {
    const length = slicer.position - garbage
    grammar.warnings.add(
      'trailing-garbage',
      garbage,
      () => `${length} bytes of garbage follow the end of the run, from byte ${garbage} on`,
    )
  }
  return {
    uncompressedBytes: slicer.position,
    runNumber: grammar.runNumber ?? grammar.endRunNumber,
    eventCount: events.count,
    eventsById: events.byId(),
    internalEvents: Object.fromEntries(grammar.internal),
    firstEventTime: first,
    lastEventTime: last,
    serialGaps: events.serialGaps(),
    banks: banks.statistics(),
    beginDump: grammar.beginDump,
    endDump: grammar.endDump,
    digitizerHeader: grammar.digitizerHeader,
    cameraBytes: grammar.cameraBytes,
    damage: grammar.damaged.findings(),
    ending,
    warnings: grammar.warnings.findings(),
  }
}

/**
 * Why the stream does not end as a run does: the walk stopped, an event is cut, or there is no end of run.
 * Null when it does.
 */
function endingProblem(grammar: EventGrammar, slicer: Slicer): Finding | null {
  const end = slicer.position
  const { count } = grammar.events
  const read = `${count} whole ${count === 1 ? 'event was' : 'events were'} read`
  if (grammar.stop !== null) return { ...grammar.stop, message: `${grammar.stop.message}; ${read}` }
  if (grammar.garbageOffset !== null) return null
  const cutOffset = grammar.current?.offset ?? (slicer.heldBytes > 0 ? end - slicer.heldBytes : null)
  if (cutOffset === null) {
    if (grammar.ended) return null
    return {
      code: 'no-end-of-run',
      message: `the file ends at byte ${end} without an end-of-run event; ${read}`,
      offset: end,
    }
  }
  if (grammar.ended) {
    grammar.garbageOffset = cutOffset
    return null
  }
  const { current } = grammar
  if (current === null)
    return {
      code: 'cut-in-header',
      message: `the file ends at byte ${end}, inside the header of the event at byte ${cutOffset}; ${read}`,
      offset: end,
    }
  const { kind, header, inconsistent } = current
  if (kind === 'begin-of-run' || kind === 'end-of-run') {
    const message = `the file ends at byte ${end}, inside the ODB dump of its ${kind} event; ${read}`
    return { code: `cut-in-${kind}`, message, offset: end }
  }
  if (inconsistent) {
    const message = `the event at byte ${cutOffset} (id ${header.id}) states ${header.dataBytes} bytes, more than the file has left; ${read}`
    return { code: 'event-beyond-end', message, offset: cutOffset }
  }
  const message = `the file ends at byte ${end}, inside the event at byte ${cutOffset} (id ${header.id}, serial number ${header.serial}); ${read}`
  return { code: 'cut-in-event', message, offset: end }
}

function warnAboutRun({ internal, runNumber, endRunNumber, warnings }: EventGrammar): void {
  if (runNumber === null)
    warnings.add('no-begin-of-run', 0, () => 'there is no begin-of-run event, so no ODB dump of the start')
  else if (endRunNumber !== null && endRunNumber !== runNumber && internal.get('0x8000') === 1)
    warnings.add(
      'end-of-run-number',
      null,
      () => `the end-of-run event is of run ${endRunNumber}, the begin-of-run event of run ${runNumber}`,
    )
}

function warnAboutNames({ banks, warnings }: EventGrammar): void {
  for (const name of Object.keys(banks.statistics()))
    if (name.includes('\\'))
      warnings.add(
        'bank-name',
        null,
        (count) => `${count} bank names are not plain ASCII (the first: ${name})`,
      )
}
