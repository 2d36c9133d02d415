/** Small MIDAS runs for tests, and sources that deliver them in pieces. */
import { type ExtractionOptions, extractFile, type FileSource } from '../../shared/extraction/extract-file.ts'
import type { FileMetadata } from '../../shared/extraction/metadata.ts'
import { type BankToEncode, encodeBanks, encodeEvent } from '../../shared/midas/encode.ts'
import {
  type BankFormat,
  EVENT_BEGIN_OF_RUN,
  EVENT_END_OF_RUN,
  EVENT_MESSAGE,
  MIDAS_MAGIC,
} from '../../shared/midas/format.ts'
import { createReader } from '../../shared/midas/reader.ts'
import { TID } from '../../shared/midas/tid.ts'
import type { WalkResult } from '../../shared/midas/walk-result.ts'

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const concat = (...pieces: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(pieces))

export const RUN_NUMBER = 12345
export const START_TIME = 1_700_000_000

/** A dump in the raw dialect with the few values that extraction reads. */
export const dump = (runNumber: number, more: Record<string, unknown> = {}): Uint8Array =>
  text(
    JSON.stringify({
      Runinfo: { 'Run number/key': { type: 7, access_mode: 7, last_written: 1 }, 'Run number': runNumber },
      Configurations: { 'Exposure/key': { type: 10, access_mode: 7, last_written: 1 }, Exposure: 0.3 },
      ...more,
    }),
  )

export const beginOfRun = (runNumber = RUN_NUMBER, body = dump(runNumber)): Uint8Array =>
  encodeEvent({ id: EVENT_BEGIN_OF_RUN, mask: MIDAS_MAGIC, serial: runNumber, timeSeconds: START_TIME, body })
export const endOfRun = (runNumber = RUN_NUMBER, body = dump(runNumber)): Uint8Array =>
  encodeEvent({
    id: EVENT_END_OF_RUN,
    mask: MIDAS_MAGIC,
    serial: runNumber,
    timeSeconds: START_TIME + 60,
    body,
  })
export const message = (): Uint8Array =>
  encodeEvent({
    id: EVENT_MESSAGE,
    mask: 2,
    serial: 0,
    timeSeconds: START_TIME,
    body: text('[Logger,INFO] Run started\0'),
  })

export const event = (id: number, serial: number, body: Uint8Array): Uint8Array =>
  encodeEvent({ id, mask: 0, serial, timeSeconds: START_TIME + serial, body })

/** Deterministic bytes that do not compress well. */
export function noise(count: number, seed = 1): Uint8Array {
  let state = seed
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 16) & 0x3f
  })
}

/** The header of two boards, as the DAQ writes it: one trigger, one channel each. */
export const digitizerHeader = (): Uint8Array =>
  new Uint8Array(
    Uint32Array.of(2, 1742, 1024, 1, 1, 12, 750, 0, 7, 3, 1720, 4000, 1, 1, 12, 250, 0, 9).buffer,
  )

export const cameraBanks = (seed: number): BankToEncode[] => [
  { name: 'DIG0', type: TID.uint16, data: noise(64, seed + 1) },
  { name: 'DGH0', type: TID.uint32, data: digitizerHeader() },
  { name: 'CAM0', type: TID.uint16, data: noise(2 * 16 * 16, seed) },
]
export const cameraEvent = (serial: number, format: BankFormat = 'bank32'): Uint8Array =>
  event(1, serial, encodeBanks(format, cameraBanks(serial), { padding: 0xad }))
export const slowEvent = (serial: number, format: BankFormat = 'bank16'): Uint8Array =>
  event(
    5,
    serial,
    encodeBanks(format, [
      { name: 'INPT', type: TID.float32, data: new Uint8Array(92) },
      { name: 'OUTP', type: TID.float32, data: new Uint8Array(0) },
    ]),
  )

/** Begin, a message, one slow event, camera events, end. */
export function smallRun(
  cameraEvents = 3,
  format: BankFormat = 'bank32',
  runNumber = RUN_NUMBER,
): Uint8Array {
  const camera = Array.from({ length: cameraEvents }, (_, serial) => cameraEvent(serial, format))
  return concat(beginOfRun(runNumber), message(), slowEvent(0, format), ...camera, endOfRun(runNumber))
}

/** Offset of the nth event (from 0) in a valid stream. */
export function eventOffset(stream: Uint8Array, index: number): number {
  const view = new DataView(stream.buffer, stream.byteOffset)
  let offset = 0
  for (let i = 0; i < index; i += 1) offset += 16 + view.getUint32(offset + 12, true)
  return offset
}

/** A copy with a 32-bit number changed. */
export function withU32(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = bytes.slice()
  new DataView(copy.buffer).setUint32(offset, value, true)
  return copy
}

export function withByte(bytes: Uint8Array, offset: number, change: (byte: number) => number): Uint8Array {
  const copy = bytes.slice()
  copy[offset] = change(copy[offset] ?? 0)
  return copy
}

export function walkStream(stream: Uint8Array, pieceBytes = 1 << 20, maxEventBytes?: number): WalkResult {
  const reader = createReader(maxEventBytes === undefined ? {} : { maxEventBytes })
  for (let at = 0; at < stream.length; at += pieceBytes) reader.push(stream.subarray(at, at + pieceBytes))
  return reader.end()
}

export async function* inPieces(bytes: Uint8Array, pieceBytes = 1 << 16): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

export const fileOf = (fileName: string, bytes: Uint8Array, pieceBytes?: number): FileSource => ({
  fileName,
  open: () => inPieces(bytes, pieceBytes),
})

/** Extracts a file in memory. */
export function extract(
  bytes: Uint8Array,
  fileName = `run${RUN_NUMBER}.mid`,
  options: Partial<ExtractionOptions> & { readonly pieceBytes?: number } = {},
): Promise<FileMetadata> {
  const { pieceBytes, ...rest } = options
  return extractFile(fileOf(fileName, bytes, pieceBytes), {
    igzip: 'never',
    maxEventBytes: 256 * 1024 * 1024,
    signal: new AbortController().signal,
    ...rest,
  })
}
