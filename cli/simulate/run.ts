/** One simulated run file as the stream of bytes that the MIDAS logger would write, event by event. */
import { type BankToEncode, encodeBanks, encodeEvent } from '../../shared/midas/encode.ts'
import {
  EVENT_BEGIN_OF_RUN,
  EVENT_CAMERA_STATUS,
  EVENT_END_OF_RUN,
  EVENT_ENVIRONMENT,
  EVENT_HIGH_VOLTAGE,
  EVENT_MESSAGE,
  EVENT_TRIGGER,
  MIDAS_MAGIC,
} from '../../shared/midas/format.ts'
import { serializeOdb } from '../../shared/midas/odb/serialize.ts'
import { TID } from '../../shared/midas/tid.ts'
import { createCamera } from './camera.ts'
import { createDigitizers } from './digitizers.ts'
import { type DumpMoment, odbOfRun } from './odb-content.ts'
import { environmentMeans, hvDemand, SENSOR_TEMPERATURE } from './odb-equipment.ts'
import { midasFileName, type SimulationOptions, simulationOptions } from './options.ts'
import { type Random, randomStream } from './random.ts'

/** Camera events per second of run time. */
const EVENT_RATE_HZ = 1.66
const SLOW_PERIOD_SECONDS = 60
const CAMERA_STATUS_PERIOD_SECONDS = 10
/** Message type INFO. */
const MESSAGE_INFO = 2
/** Record length that fits 16-bit banks. */
const SHORT_SAMPLES = 128

/**
 * The uncompressed MIDAS stream of one file, one event a chunk; memory does not grow with the number of
 * events. The fault `cut-stream` concerns only the compressed file.
 * @param subrun which file of a run of several, from 0.
 * @throws InvalidInputError for options that no DAQ could have.
 */
export async function* simulateRun(
  given: Partial<SimulationOptions>,
  subrun = 0,
): AsyncGenerator<Uint8Array, void, undefined> {
  const options = simulationOptions(given)
  // The number in the header and the ODB, which then differs from that in the file name.
  const written =
    options.fault === 'wrong-run-number' ? { ...options, runNumber: options.runNumber + 1 } : options
  const fileName = midasFileName(options.runNumber, options.subruns > 1 ? subrun : null)
  const lastSubrun = subrun === options.subruns - 1
  const first = Math.floor((subrun * options.events) / options.subruns)
  const last = Math.floor(((subrun + 1) * options.events) / options.subruns)
  const timeOf = (event: number) => options.startTime + Math.floor(event / EVENT_RATE_HZ)

  const dump = (id: number, timeSeconds: number, moment: DumpMoment) =>
    encodeEvent({
      id,
      mask: MIDAS_MAGIC,
      serial: written.runNumber,
      timeSeconds,
      body: dumpBody(written, fileName, timeSeconds, moment),
    })

  yield dump(EVENT_BEGIN_OF_RUN, timeOf(first), { at: 'begin' })
  if (options.slowEvents && subrun === 0)
    yield messageEvent(`[Logger,INFO] Run #${written.runNumber} started`, options.startTime)
  const slow = slowControl(options, timeOf(first))
  const triggers = triggerEvents(options)
  for (let event = first; event < last; event++) {
    yield* slow(timeOf(event))
    const bytes = triggers(event, timeOf(event))
    if (options.fault === 'cut-event' && lastSubrun && event === last - 1) {
      yield bytes.subarray(0, Math.floor(bytes.length / 2))
      return
    }
    yield bytes
  }
  if (lastSubrun && (options.fault === 'crash' || options.fault === 'cut-event')) return
  const stopTime = timeOf(last) + 1
  yield dump(
    EVENT_END_OF_RUN,
    stopTime,
    lastSubrun ? { at: 'end', stopTime, events: options.events } : { at: 'subrun-end' },
  )
}

function dumpBody(
  options: SimulationOptions,
  fileName: string,
  timeSeconds: number,
  moment: DumpMoment,
): Uint8Array {
  const root = odbOfRun(options, fileName, moment)
  const dialect = options.odb === 'json-commas' ? 'json' : options.odb
  return serializeOdb(root, dialect, {
    lastWritten: timeSeconds,
    decimalCommas: options.odb === 'json-commas',
  })
}

function messageEvent(text: string, timeSeconds: number): Uint8Array {
  return encodeEvent({
    id: EVENT_MESSAGE,
    mask: MESSAGE_INFO,
    serial: 0,
    timeSeconds,
    body: new TextEncoder().encode(`${text}\0`),
  })
}

/**
 * Camera events by number. Each has its own random stream, so that subruns need not be made in order.
 */
function triggerEvents(options: SimulationOptions): (event: number, timeSeconds: number) => Uint8Array {
  const camera = options.fault === 'no-camera' ? null : createCamera(options.seed, options.camera)
  const short = options.bankFormat === 'bank16'
  const digitizers = options.digitizers ? createDigitizers(options.seed, short ? SHORT_SAMPLES : null) : null
  return (event, timeSeconds) => {
    const random = randomStream(options.seed, options.runNumber, event)
    const banks: BankToEncode[] = []
    if (digitizers !== null) {
      const { header, samples } = digitizers.event(
        random,
        short || options.pedestal ? 1 : 1 + Math.floor(random.between(0, 4)),
      )
      banks.push(
        { name: 'DIG0', type: TID.uint16, data: samples },
        { name: 'DGH0', type: TID.uint32, data: header },
      )
    }
    if (camera !== null)
      banks.push({ name: 'CAM0', type: TID.uint16, data: camera.frame(random, options.pedestal) })
    return encodeEvent({
      id: EVENT_TRIGGER,
      mask: 0,
      serial: event,
      timeSeconds,
      body: encodeBanks(options.bankFormat, banks, STALE),
    })
  }
}

/** Real padding holds old contents of the memory. */
const STALE = { padding: 0xad }

/** Slow-control events that have become due, in 16-bit banks as their frontends write them. */
function slowControl(
  options: SimulationOptions,
  startTime: number,
): (untilTime: number) => Iterable<Uint8Array> {
  if (!options.slowEvents) return () => []
  const random = randomStream(options.seed, options.runNumber, startTime, 0x510)
  const sources = [
    {
      id: EVENT_HIGH_VOLTAGE,
      period: SLOW_PERIOD_SECONDS,
      due: startTime,
      serial: 0,
      banks: () => hvBanks(options, random),
    },
    {
      id: EVENT_ENVIRONMENT,
      period: SLOW_PERIOD_SECONDS,
      due: startTime,
      serial: 0,
      banks: () => environmentBanks(random),
    },
    {
      id: EVENT_CAMERA_STATUS,
      period: CAMERA_STATUS_PERIOD_SECONDS,
      due: startTime,
      serial: 0,
      banks: () => cameraStatusBanks(random),
    },
  ]
  return function* (untilTime) {
    for (const source of sources)
      for (; source.due <= untilTime; source.due += source.period) {
        const body = encodeBanks('bank16', source.banks(), STALE)
        yield encodeEvent({ id: source.id, mask: 0, serial: source.serial, timeSeconds: source.due, body })
        source.serial += 1
      }
  }
}

const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer)

function hvBanks(options: SimulationOptions, random: Random): readonly BankToEncode[] {
  const demand = hvDemand(options)
  const bank = (name: string, values: readonly number[]) => ({
    name,
    type: TID.float32,
    data: floats(values),
  })
  return [
    bank('DMND', demand),
    bank(
      'MSRD',
      demand.map((volts) => volts + 0.1 * random.gaussian()),
    ),
    bank(
      'CRNT',
      demand.map(() => 0.01 * random.gaussian()),
    ),
  ]
}

/** OUTP is present and empty, as from the real frontend. */
function environmentBanks(random: Random): readonly BankToEncode[] {
  return [
    {
      name: 'INPT',
      type: TID.float32,
      data: floats(environmentMeans.map((mean) => mean + 0.02 * random.gaussian())),
    },
    { name: 'OUTP', type: TID.float32, data: new Uint8Array(0) },
  ]
}

function cameraStatusBanks(random: Random): readonly BankToEncode[] {
  const temperature = Float64Array.of(SENSOR_TEMPERATURE + 0.1 * random.gaussian())
  return [{ name: 'TCAM', type: TID.float64, data: new Uint8Array(temperature.buffer) }]
}
