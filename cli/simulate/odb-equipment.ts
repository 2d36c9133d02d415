/** The equipment and alarm parts of a simulated ODB. */
import { type OdbSpec, odb } from '../../shared/midas/odb/spec.ts'
import type { SimulationOptions } from './options.ts'

const HV_NAMES = [
  ...['Offset', 'VGEM3', 'Transf2', 'VGEM2', 'Transf1', 'VGEM1', 'Drift'],
  ...Array.from({ length: 7 }, (_, channel) => `Ch00.${String(channel + 7).padStart(3, '0')}`),
  ...['PMT1', 'PMT2', 'broken', 'broken', 'PMT4', 'broken', 'PMT3'],
  ...Array.from({ length: 5 }, (_, channel) => `Ch10.${String(channel + 7).padStart(3, '0')}`),
]
/** Index in the gas system's list of the total flow's set-point, l/h. */
const GAS_FLOW_SETPOINT = 107
const GAS_CHANNELS = 306

/** Demanded voltages, V, in the order of the channels; a pedestal run has the GEMs off. */
export function hvDemand(options: SimulationOptions): readonly number[] {
  const on = options.pedestal ? 0 : 1
  const detector = [10, 420, 500, 420, 500, 420, 996].map((volts) => volts * on)
  const fixed: Readonly<Record<number, number>> = { 14: 772, 15: 772, 18: 770, 20: 800 }
  return HV_NAMES.map((_, channel) => detector[channel] ?? fixed[channel] ?? 0)
}

/** Read-outs of the slow sensors, mA or V, in the order of `/Equipment/Environment/Settings/Names Input`. */
const environmentNames: readonly string[] = ['P0IIn', 'P1UIn', 'P3IIn'].flatMap((module) =>
  Array.from({ length: 8 }, (_, channel) => `${module}${channel}`),
)
export const environmentMeans: readonly number[] = environmentNames.map((_, channel) => 4 + 0.5 * channel)
export const SENSOR_TEMPERATURE = -19

export function equipment(options: SimulationOptions, eventsSent: number): OdbSpec {
  const demand = hvDemand(options)
  const gas = Array.from({ length: GAS_CHANNELS }, (_, channel) =>
    channel === GAS_FLOW_SETPOINT ? 20 : channel === 14 ? 0.908 : 0,
  )
  const states = demand.map((_, channel) =>
    channel < 14 ? Number(!options.pedestal) : Number(demand[channel] !== 0),
  )
  return {
    Trigger: { Common: common(1, 'cygnus_daq'), Variables: {}, Statistics: statistics(eventsSent, 1.66) },
    HV: {
      Common: common(3, 'SC Frontend'),
      Variables: {
        Demand: odb.float(demand),
        Measured: odb.float(demand.map((volts) => (volts === 0 ? 0 : Math.fround(volts + 0.18)))),
        Current: odb.float(demand.map(() => 0)),
        ChState: odb.dword(states),
        ChStatus: odb.dword(states),
      },
      Statistics: statistics(3, 0),
      Settings: {
        Editable: odb.string(['Demand', 'ChState']),
        Names: odb.string(HV_NAMES),
        'Voltage Limit': odb.float(demand.map(() => 1000)),
      },
    },
    Environment: {
      Common: common(5, 'SC Frontend'),
      Variables: { Input: odb.float(environmentMeans) },
      Statistics: statistics(3, 0),
      Settings: {
        'Names Input': odb.string(environmentNames),
        'Input Formula': odb.string(environmentNames.map(() => '')),
      },
    },
    GasSystem: {
      Common: common(6, 'SC Frontend'),
      Variables: { Demand: odb.float(gas), Measured: odb.float(gas) },
      Statistics: statistics(3, 0),
    },
    CameraStatus: {
      Common: common(7, 'cygnus_daq'),
      Variables: {
        'Sensor Temperature': odb.double(SENSOR_TEMPERATURE),
        TCAM: odb.double(SENSOR_TEMPERATURE),
      },
      Statistics: statistics(15, 0.32),
    },
  }
}

const common = (eventId: number, frontend: string): OdbSpec => ({
  'Event ID': odb.word(eventId),
  'Trigger mask': odb.word(0),
  Buffer: odb.string('SYSTEM'),
  Type: odb.int(eventId === 1 ? 2 : 16),
  Format: odb.string('MIDAS', 8),
  Enabled: odb.bool(true),
  'Read on': odb.int(eventId === 1 ? 1 : 255),
  Period: odb.int(eventId === 1 ? 100 : 60000),
  'Frontend host': odb.string('localhost'),
  'Frontend name': odb.string(frontend),
  Status: odb.string(`${frontend}@localhost`, 256),
  Hidden: odb.bool(false),
})

const statistics = (sent: number, perSecond: number): OdbSpec => ({
  'Events sent': odb.double(sent),
  'Events per sec.': odb.double(perSecond),
  'kBytes per sec.': odb.double(perSecond * 10737.5),
})

export const alarms: OdbSpec = {
  'Alarm system active': odb.bool(true),
  Alarms: {
    'Gas Alarm 2': {
      Active: odb.bool(true),
      Triggered: odb.int(0),
      Type: odb.int(3),
      'Check interval': odb.int(60),
      'Checked last': odb.dword(1702593180),
      Condition: odb.string('/Equipment/GasSystem/Variables/Measured[300] > 0', 256),
      'Alarm Class': odb.string('Gas Alarm'),
      'Alarm Message': odb.string('Gas pressure & flow <out of range>', 80),
    },
  },
  Classes: { Alarm: { 'Display BGColor': odb.string('red'), 'Display FGColor': odb.string('black') } },
}
