/** The options of a simulated run. */
import { InvalidInputError } from '../../shared/errors.ts'
import type { BankFormat } from '../../shared/midas/format.ts'
import { type Camera, frameSize } from './camera.ts'

/** Form of the ODB dumps; `json-commas` is JSON with the decimal commas of an Italian locale. */
export const odbForms = ['json', 'json-commas', 'xml', 'text'] as const
export type OdbForm = (typeof odbForms)[number]

/**
 * Faults. crash: the logger died, so there is no end-of-run event. cut-event: it died inside an event.
 * cut-stream: the compressed file was cut. no-camera: the camera delivered nothing. wrong-run-number: the header
 * disagrees with the file name.
 */
export const faults = ['crash', 'cut-event', 'cut-stream', 'no-camera', 'wrong-run-number'] as const
export type Fault = (typeof faults)[number]

export interface SimulationOptions {
  /** The same options and seed give the same bytes. */
  readonly seed: number
  readonly runNumber: number
  /** Site, the first part of the S3 key. */
  readonly tag: string
  /** Begin of run, Unix seconds. */
  readonly startTime: number
  /** Camera triggers in the whole run, all subruns together. */
  readonly events: number
  readonly camera: Camera
  /** High voltage off, no tracks. */
  readonly pedestal: boolean
  readonly digitizers: boolean
  /** Events of the slow control and a message. */
  readonly slowEvents: boolean
  readonly bankFormat: BankFormat
  readonly odb: OdbForm
  /** Files the run is split into; 1: one file without a subrun number. */
  readonly subruns: number
  readonly fault: Fault | null
  readonly description: string
}

export const defaultOptions: SimulationOptions = {
  seed: 1,
  runNumber: 1,
  tag: 'LNGS',
  startTime: 1_702_593_197,
  events: 10,
  camera: 'fusion',
  pedestal: false,
  digitizers: true,
  slowEvents: true,
  bankFormat: 'bank32',
  odb: 'json',
  subruns: 1,
  fault: null,
  description: 'Simulated run',
}

/**
 * Fills in the defaults and validates the options.
 * @throws InvalidInputError with the option that no DAQ could have.
 */
export function simulationOptions(given: Partial<SimulationOptions>): SimulationOptions {
  const options: SimulationOptions = { ...defaultOptions, ...given }
  const whole = (name: keyof SimulationOptions, least: number, most: number) => {
    const value = options[name]
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      throw new InvalidInputError(
        `simulate: ${name} is a whole number from ${least} to ${most}, not ${value}`,
      )
  }
  whole('seed', 0, 0xffffffff)
  whole('runNumber', 0, 0x7fffffff)
  whole('startTime', 1, 0xffffffff)
  whole('events', 0, 10_000_000)
  whole('subruns', 1, 10_000)
  if (!/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/.test(options.tag))
    throw new InvalidInputError(
      `simulate: a tag is letters, digits, - and _, as LNGS, not ${JSON.stringify(options.tag)}`,
    )
  const { width, height } = frameSize(options.camera)
  if (options.bankFormat === 'bank16' && width * height * 2 > 0xffff)
    throw new InvalidInputError(
      'simulate: 16-bit banks hold at most 64 KiB; choose a camera of at most 181 pixels a side',
    )
  return options
}

/**
 * `run00042.mid`, or `run00042sub0003.mid` when the run has several files; the compression adds its ending.
 */
export function midasFileName(runNumber: number, subrun: number | null): string {
  const run = `run${String(runNumber).padStart(5, '0')}`
  return subrun === null ? `${run}.mid` : `${run}sub${String(subrun).padStart(4, '0')}.mid`
}
