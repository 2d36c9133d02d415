/**
 * Waveform digitizers: the DGH0 header bank and the DIG0 sample bank.
 *
 * DGH0 is a list of whole numbers: the number of boards, then for each board: model (1742 fast, 1720 slow),
 * samples per channel, channels, triggers, vertical resolution, sampling rate, one offset per channel, one
 * trigger time tag per trigger and, for the 1742 alone, one start index cell (of its DRS4 chip) per trigger.
 * DIG0 holds, board after board, for each trigger and each channel, the samples as 16-bit numbers.
 */
import { InvalidInputError } from '../errors.ts'
import { tidInfo } from './tid.ts'

export interface DigitizerBoard {
  readonly model: 1742 | 1720
  readonly samplesPerChannel: number
  readonly channels: number
  /** Triggers in the event of this header. */
  readonly triggers: number
  /** Vertical resolution, bits. The DAQ's header contains 2^bits in some versions and bits in others. */
  readonly resolutionBits: number
  readonly samplingMHz: number
}

interface DigitizerBoardHeader extends DigitizerBoard {
  /** DC offset of each channel, DAC units. */
  readonly offsets: readonly number[]
  /** Trigger time tag of each trigger, in units of 8.5 ns. */
  readonly triggerTimeTags: readonly number[]
  /** DRS4 start index cell of each trigger; empty for the 1720. */
  readonly startIndexCells: readonly number[]
}

export interface DigitizerHeader {
  readonly boards: readonly DigitizerBoardHeader[]
}

/** The summaries of the boards, as stored in the catalogue. */
export function digitizerBoards(header: DigitizerHeader): readonly DigitizerBoard[] {
  return header.boards.map(
    ({ model, samplesPerChannel, channels, triggers, resolutionBits, samplingMHz }) => ({
      model,
      samplesPerChannel,
      channels,
      triggers,
      resolutionBits,
      samplingMHz,
    }),
  )
}

/** Numbers before the per-channel and per-trigger lists. */
const FIXED_WORDS = 6
/** More than any crate has. */
const BOARDS_MOST = 16
const CHANNELS_MOST = 64
const SAMPLES_MOST = 1 << 20
const TRIGGERS_MOST = 1 << 16

/**
 * Parses a DGH0 bank of MIDAS type `type` (any integer type of at most 32 bits; the experiment writes DWORD).
 * @throws InvalidInputError naming the invalid number; the number of words must match exactly.
 */
export function decodeDigitizerHeader(data: Uint8Array, type: number): DigitizerHeader {
  const words = integers(data, type)
  const boardCount = words[0]
  if (boardCount === undefined) throw invalid('it is empty')
  if (boardCount < 0 || boardCount > BOARDS_MOST) throw invalid(`it announces ${boardCount} boards`)
  const boards: DigitizerBoardHeader[] = []
  let at = 1
  for (let index = 0; index < boardCount; index++) {
    const board = readBoard(words, at, index)
    boards.push(board)
    at += FIXED_WORDS + board.channels + board.triggers + board.startIndexCells.length
  }
  if (at !== words.length) throw invalid(`${words.length} words where ${boardCount} boards need ${at}`)
  return { boards }
}

/** Number of 16-bit samples in the DIG0 bank of the same event. */
export function digitizerSampleCount(header: DigitizerHeader): number {
  return header.boards.reduce(
    (sum, board) => sum + board.triggers * board.channels * board.samplesPerChannel,
    0,
  )
}

function readBoard(words: readonly number[], at: number, index: number): DigitizerBoardHeader {
  const [model, samplesPerChannel, channels, triggers, resolution, samplingMHz] = words.slice(
    at,
    at + FIXED_WORDS,
  )
  const where = `board ${index + 1}`
  if (model !== 1742 && model !== 1720)
    throw invalid(
      model === undefined ? `${where} is missing` : `${where} is a model ${model}, not a 1742 or 1720`,
    )
  const count = (value: number | undefined, what: string, least: number, most: number): number => {
    if (value === undefined) throw invalid(`${where} is cut before its ${what}`)
    if (value < least || value > most) throw invalid(`${where} announces ${value} ${what}`)
    return value
  }
  const channelCount = count(channels, 'channels', 1, CHANNELS_MOST)
  const triggerCount = count(triggers, 'triggers', 0, TRIGGERS_MOST)
  const sampleCount = count(samplesPerChannel, 'samples per channel', 1, SAMPLES_MOST)
  const levels = count(resolution, 'levels of resolution', 1, 0x10000)
  const rate = count(samplingMHz, 'MS/s', 0, 100_000)
  let next = at + FIXED_WORDS
  const list = (length: number, what: string) => {
    const values = words.slice(next, next + length)
    if (values.length < length) throw invalid(`${where} is cut: ${values.length} of ${length} ${what}`)
    next += length
    return values
  }
  return {
    model,
    samplesPerChannel: sampleCount,
    channels: channelCount,
    triggers: triggerCount,
    resolutionBits: levels <= 32 ? levels : Math.round(Math.log2(levels)),
    samplingMHz: rate,
    offsets: list(channelCount, 'offsets'),
    triggerTimeTags: list(triggerCount, 'trigger time tags'),
    startIndexCells: model === 1742 ? list(triggerCount, 'start index cells') : [],
  }
}

/** The bank's numbers, read one by one: a bank may begin at any offset, a typed array may not. */
function integers(data: Uint8Array, type: number): readonly number[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const read = readers.get(type)
  const size = tidInfo(type)?.sizeBytes ?? 0
  if (read === undefined) throw invalid(`its type is ${tidInfo(type)?.name ?? type}, not a whole number`)
  if (data.length % size !== 0)
    throw invalid(`${data.length} bytes are no whole number of ${size}-byte words`)
  return Array.from({ length: data.length / size }, (_, index) => read(view, index * size))
}

const readers: ReadonlyMap<number, (view: DataView, offset: number) => number> = new Map([
  [1, (view: DataView, offset: number) => view.getUint8(offset)],
  [2, (view: DataView, offset: number) => view.getInt8(offset)],
  [4, (view: DataView, offset: number) => view.getUint16(offset, true)],
  [5, (view: DataView, offset: number) => view.getInt16(offset, true)],
  [6, (view: DataView, offset: number) => view.getUint32(offset, true)],
  [7, (view: DataView, offset: number) => view.getInt32(offset, true)],
])

function invalid(what: string): InvalidInputError {
  return new InvalidInputError(`digitizer header DGH0: ${what}`)
}
