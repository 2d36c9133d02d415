/** Parses simulated runs by the description of the format, independently of the project's reader. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { SimulationOptions } from '../../cli/simulate/options.ts'
import { simulateRun } from '../../cli/simulate/run.ts'
import { parseOdb } from '../../shared/midas/odb/odb.ts'

export type Options = Partial<SimulationOptions>
export const small: Options = { camera: 64, digitizers: false, events: 5 }
export const START = 1_702_593_197

export interface Event {
  readonly id: number
  readonly mask: number
  readonly serial: number
  readonly time: number
  readonly body: Uint8Array
  readonly banks: ReadonlyMap<string, { readonly type: number; readonly data: Uint8Array }>
}

/** The events of a stream. @throws if the last one is cut. */
export function walk(stream: Uint8Array): readonly Event[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  const events: Event[] = []
  for (let at = 0; at < stream.length; ) {
    const [id, mask] = [view.getUint16(at, true), view.getUint16(at + 2, true)]
    const size = view.getUint32(at + 12, true)
    if (at + 16 + size > stream.length) throw new Error(`event at ${at} is cut`)
    const banks = new Map<string, { type: number; data: Uint8Array }>()
    if (id < 0x8000) {
      const flags = view.getUint32(at + 20, true)
      const header = (flags & 0x20) !== 0 ? 16 : (flags & 0x10) !== 0 ? 12 : 8
      for (let bank = at + 24; bank < at + 16 + size; ) {
        const type = header === 8 ? view.getUint16(bank + 4, true) : view.getUint32(bank + 4, true)
        const bytes = header === 8 ? view.getUint16(bank + 6, true) : view.getUint32(bank + 8, true)
        const name = String.fromCharCode(...stream.subarray(bank, bank + 4))
        banks.set(name, { type, data: stream.subarray(bank + header, bank + header + bytes) })
        bank += header + Math.ceil(bytes / 8) * 8
      }
    }
    events.push({
      id,
      mask,
      serial: view.getUint32(at + 4, true),
      time: view.getUint32(at + 8, true),
      body: stream.subarray(at + 16, at + 16 + size),
      banks,
    })
    at += 16 + size
  }
  return events
}

export async function streamOf(options: Options, subrun = 0): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of simulateRun(options, subrun)) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

export const eventsOf = async (options: Options, subrun = 0) => walk(await streamOf(options, subrun))
export const dumpsOf = (events: readonly Event[]) =>
  events.filter((event) => event.mask === 0x494d).map((event) => parseOdb(event.body))

/** A folder that is deleted after the test. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cygnet-simulate-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}
