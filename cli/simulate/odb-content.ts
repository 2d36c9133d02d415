/** The ODB of a simulated run: every path that the Runlog reads, with neighbours as in a real dump of LNGS. */
import { runlogColumns } from '../../shared/extraction/run-parameters.ts'
import { type OdbSpec, odb, odbDirectory } from '../../shared/midas/odb/spec.ts'
import type { OdbDirectory } from '../../shared/midas/odb/tree.ts'
import { TID } from '../../shared/midas/tid.ts'
import { ctime } from './local-time.ts'
import { alarms, equipment, hvDemand } from './odb-equipment.ts'
import type { SimulationOptions } from './options.ts'

/**
 * When the dump was made: at the begin of run, at the end of a subrun while the run continues, at the end of the
 * run.
 */
export type DumpMoment =
  | { readonly at: 'begin' }
  | { readonly at: 'subrun-end' }
  | { readonly at: 'end'; readonly stopTime: number; readonly events: number }

/** The tree at that moment, including the values that are stale in MIDAS. */
export function odbOfRun(options: SimulationOptions, fileName: string, moment: DumpMoment): OdbDirectory {
  return odbDirectory('', {
    Experiment: {
      'ODB timeout': odb.int(10000),
      'Enable core dumps': odb.bool(false),
      'Buffer sizes': { SYSMSG: odb.dword(100000), SYSTEM: odb.dword(2097152000) },
      MAX_EVENT_SIZE: odb.int(41943040),
      Name: odb.string('CYGNUS_RD'),
      'Run Parameters': { 'Run description': odb.string(options.description, 256) },
      'Edit on start': {
        'Run description': odb.link('/Experiment/Run Parameters/Run description'),
        Pedestal: odb.link('/Configurations/Pedestal'),
      },
    },
    System: { Clients: client('4711', 'Logger'), 'Client Notify': odb.int(0) },
    Runinfo: runinfo(options, moment),
    Configurations: configurations(options),
    Logger: logger(options, fileName, moment),
    Sequencer: {
      State: {
        Path: odb.string('/home/daq/online/', 256),
        Filename: odb.string('standard.msl', 256),
        Running: odb.bool(true),
        'Loop n': odb.int([-1, 6, 0, 0]),
      },
      Command: { 'Start script': odb.bool(false), 'Load filename': odb.string('standard.msl', 256) },
    },
    Alarms: alarms,
    History: {
      Links: { System: { 'Trigger per sec.': odb.link('/Equipment/Trigger/Statistics/Events per sec.') } },
    },
    Equipment: equipment(options, moment.at === 'end' ? moment.events : STALE_EVENTS[moment.at]),
    middleware: {
      nsigma: odb.double(2.5),
      save_ped: odb.bool(false),
      image_update_time: odb.int(10),
      reconstruction_sample_gap: odb.int(10),
    },
  })
}

/**
 * The frontend's event counter in a dump before the end of the run: left from the previous run, or not yet
 * written.
 */
const STALE_EVENTS = { begin: 402, 'subrun-end': 0 } as const
/** Time between the end of the previous run and the begin of this one. */
const GAP_SECONDS = 13

const client = (process: string, name: string): OdbSpec => ({
  [process]: {
    Name: odb.string(name),
    Host: odb.string('localhost', 256),
    'Hardware type': odb.int(44),
    'Server Port': odb.int(10851),
  },
})

function runinfo(options: SimulationOptions, moment: DumpMoment): OdbSpec {
  const ended = moment.at === 'end'
  const stopTime = ended ? moment.stopTime : options.startTime - GAP_SECONDS
  return {
    State: odb.int(moment.at === 'begin' ? 1 : 3),
    'Online Mode': odb.int(1),
    'Run number': odb.int(options.runNumber),
    'Transition in progress': odb.int(moment.at === 'subrun-end' ? 0 : 1),
    'Start abort': odb.int(0),
    'Requested transition': odb.int(0),
    'Start time': odb.string(ctime(options.startTime)),
    'Start time binary': odb.dword(options.startTime),
    'Stop time': odb.string(ctime(stopTime)),
    'Stop time binary': odb.dword(ended ? stopTime : 0),
  }
}

function configurations(options: SimulationOptions): OdbSpec {
  return {
    FreeRunning: odb.bool(!options.digitizers),
    TriggerMode: odb.int(0),
    MaxEvents: odb.int(-1),
    Pedestal: odb.bool(options.pedestal),
    Exposure: odb.double(0.3),
    'Number of Digitizers': odb.int(2),
    'Digitizer Base Address': odb.int([839909376, 1108344832]),
    MultiTriggerMaxSize: odb.int(128),
    SamplingFrequency: odb.int([0, 4]),
    DigitizerPostTrg: odb.int([60, 60]),
    DigitizerOffset: odb.double([
      -0.5,
      ...Array.from({ length: 7 }, () => -0.3),
      ...Array.from({ length: 32 }, () => 0),
    ]),
    DigitizerSamples: odb.int([1024, 4000]),
    Threshold: odb.int(0),
    storage_flag_default: odb.int(-1),
    storage_flag_mid_written: odb.int(0),
    DRS4Correction: odb.bool(false),
    TriggerState: {
      discrimination_threshold: odb.int(2),
      trigger_veto_time: odb.float(100),
      trigger_logic: odb.int(0),
    },
    SourceState: { source_position: odb.float(17.5), source_type: odb.int(options.pedestal ? 0 : 1) },
    run_type: odb.int(0),
    shielding_configuration: odb.int(3),
    pmt_acquisition: odb.bool(options.digitizers),
  }
}

function logger(options: SimulationOptions, fileName: string, moment: DumpMoment): OdbSpec {
  return {
    'Data dir': odb.string('/data01/data/', 256),
    'Write data': odb.bool(true),
    'ODB Dump': odb.bool(false),
    Channels: {
      '0': {
        Settings: {
          Active: odb.bool(true),
          Type: odb.string('Disk', 8),
          Filename: odb.string(options.subruns > 1 ? 'run%05dsub%04d.mid' : 'run%05d.mid', 256),
          Format: odb.string('MIDAS', 8),
          Compression: odb.int(0),
          'ODB dump': odb.bool(true),
          'Event ID': odb.int(-1),
          'Trigger mask': odb.int(-1),
          'Subrun Byte limit': odb.double(0),
          'Current filename': odb.string(fileName, 256),
          'Data checksum': odb.string('CRC32C', 256),
        },
        Statistics: {
          'Events written': odb.double(moment.at === 'end' ? moment.events : 0),
          'Bytes written total': odb.double(137505466207776),
          'Files written': odb.double(37142),
          'Disk level': odb.double(0.49194554515255506),
        },
      },
    },
    Runlog: {
      SQL: {
        'Create database': odb.bool(true),
        'Write data': odb.bool(true),
        Table: odb.string('Runlog', 80),
        ...runlogLinks(options),
      },
    },
    'Subrun duration': odb.dword(0),
  }
}

/**
 * The links by which MIDAS fills the Runlog: plain ones show their path, those to array elements their value.
 */
function runlogLinks(options: SimulationOptions): OdbSpec {
  const demand = hvDemand(options)
  const link = (path: string) => {
    const element = /Demand\[(\d+)\]$/.exec(path)
    if (element === null || !path.includes('/HV/')) return odb.link(path)
    return odb.elementLink(path, TID.float32, demand[Number(element[1])] ?? 0)
  }
  const links = (dump: 'begin' | 'end') =>
    Object.fromEntries(
      runlogColumns
        .filter((column) => column.dump === dump)
        .map((column) => [column.name, link(column.odbPath)]),
    )
  return { 'Links BOR': links('begin'), 'Links EOR': links('end') }
}
