import { describe, expect, test } from 'vitest'
import {
  dateTimeOfCtime,
  runlogColumns,
  runParameters,
  runTimes,
} from '../../../shared/extraction/run-parameters.ts'
import { type OdbSpec, odb, odbDirectory } from '../../../shared/midas/odb/spec.ts'
import { odbTree } from '../../../shared/midas/odb/tree.ts'

const START = 1_682_959_879
const treeOf = (spec: OdbSpec) => odbTree(odbDirectory('', spec))

const demand = Array.from({ length: 26 }, (_, channel) => 100 + channel)
const gas = Array.from({ length: 306 }, (_, channel) => 1000 + channel)

function dump(runinfo: OdbSpec, more: OdbSpec = {}) {
  return treeOf({
    Runinfo: {
      'Run number': odb.int(17159),
      'Start time': odb.string('Mon May  1 18:51:19 2023'),
      'Start time binary': odb.dword(START),
      ...runinfo,
    },
    Experiment: { 'Run Parameters': { 'Run description': odb.string('Fe, position 3', 256) } },
    Configurations: {
      Exposure: odb.double(0.3),
      Pedestal: odb.bool(true),
      DRS4Correction: odb.bool(false),
      pmt_acquisition: odb.bool(true),
      run_type: odb.int(4),
      shielding_configuration: odb.int(3),
      storage_flag_default: odb.int(-1),
      storage_flag_mid_written: odb.int(0),
      SourceState: { source_type: odb.int(1), source_position: odb.float(17.5) },
      TriggerState: {
        discrimination_threshold: odb.int(2),
        trigger_veto_time: odb.float(100),
        trigger_logic: odb.int(7),
      },
    },
    Equipment: {
      HV: { Variables: { Demand: odb.float(demand), ChState: odb.dword([1, 0]) } },
      GasSystem: { Variables: { Demand: odb.float(gas) } },
      Trigger: { Statistics: { 'Events sent': odb.double(402) } },
    },
    Sequencer: {
      Command: { 'Load filename': odb.string('standard.msl') },
      State: { Running: odb.bool(false) },
    },
    ...more,
  })
}

const atBegin = dump({
  'Stop time': odb.string('Mon May  1 18:40:00 2023'),
  'Stop time binary': odb.dword(0),
})
const atEnd = dump({
  'Stop time': odb.string('Mon May  1 18:51:28 2023'),
  'Stop time binary': odb.dword(START + 9),
})

describe('the run parameters', () => {
  test('fill every Runlog column from its ODB path', () => {
    expect(runParameters(atBegin, atEnd)).toEqual({
      run_number: 17159,
      run_description: 'Fe, position 3',
      start_time: '2023-05-01 18:51:19',
      exposure_sec: 0.3,
      GEM3_V: 101,
      GEM2_V: 103,
      GEM1_V: 105,
      T2_V: 102,
      T1_V: 104,
      DRIFT_V: 106,
      OFFSET_V: 100,
      PMT1_V: 114,
      PMT2_V: 115,
      PMT3_V: 120,
      PMT4_V: 118,
      HV_STATE: 1,
      storage_local_status: 0,
      storage_cloud_status: -1,
      storage_tape_status: -1,
      total_gas_flow: 1107,
      sequence_filename: 'standard.msl',
      sequencer_running: 0,
      pedestal_run: 1,
      source_type: 1,
      source_position: 17.5,
      discrimination_threshold: 2,
      trigger_veto_time: 100,
      trigger_logic: 7,
      run_type: 4,
      drs4_correction_active: 0,
      shielding_configuration: 3,
      pmt_acquisition: 1,
      stop_time: '2023-05-01 18:51:28',
      number_of_events: 402,
    })
  })

  test('are named in the order of the production Runlog, each once', () => {
    const names = runlogColumns.map((column) => column.name)
    expect(names).toHaveLength(34)
    expect(new Set(names).size).toBe(34)
    expect(Object.keys(runParameters(null, null))).toEqual(names)
  })

  test('are all null without a dump', () => {
    expect(new Set(Object.values(runParameters(null, null)))).toEqual(new Set([null]))
    expect(runTimes(null, null)).toEqual({ startedAt: null, stoppedAt: null })
  })

  test('of a run that never ended have no stop and no number of events, whatever the begin dump states about the previous run', () => {
    expect(runParameters(atBegin, null)).toMatchObject({
      stop_time: null,
      number_of_events: null,
      storage_local_status: -1,
      run_number: 17159,
    })
    const stale = dump({
      'Stop time': odb.string('Mon May  1 18:40:00 2023'),
      'Stop time binary': odb.dword(START - 679),
    })
    expect(runTimes(stale, null)).toEqual({ startedAt: START, stoppedAt: null })
    expect(runParameters(stale, null).stop_time).toBeNull()
  })

  test('of a subrun in the middle of a run have no stop and no number of events', () => {
    const subrunEnd = dump({
      'Stop time': odb.string('Mon May  1 18:40:00 2023'),
      'Stop time binary': odb.dword(0),
    })
    expect(runParameters(atBegin, subrunEnd)).toMatchObject({
      stop_time: null,
      number_of_events: null,
      storage_local_status: -1,
    })
    expect(runTimes(atBegin, subrunEnd)).toEqual({ startedAt: START, stoppedAt: null })
  })

  test('do not take a stop before the start', () => {
    const before = dump({
      'Stop time': odb.string('Mon May  1 18:40:00 2023'),
      'Stop time binary': odb.dword(START - 1),
    })
    expect(runTimes(atBegin, before).stoppedAt).toBeNull()
    expect(runParameters(atBegin, before).stop_time).toBeNull()
  })

  test('are taken from the end dump where the begin dump is lost', () => {
    expect(runParameters(null, atEnd)).toMatchObject({
      run_number: 17159,
      GEM3_V: 101,
      stop_time: '2023-05-01 18:51:28',
      number_of_events: 402,
    })
    expect(runTimes(null, atEnd)).toEqual({ startedAt: START, stoppedAt: START + 9 })
  })
})

describe('a value that does not fit its column is null', () => {
  const column = (name: string, spec: OdbSpec) => runParameters(dump({}, spec), null)[name]
  const exposure = (value: Parameters<typeof odb.double>[0]) =>
    column('exposure_sec', { Configurations: { Exposure: odb.double(value) } })

  test('numbers: never NaN or infinite', () => {
    expect(exposure(0.3)).toBe(0.3)
    expect(exposure(Number.NaN)).toBeNull()
    expect(exposure(Number.POSITIVE_INFINITY)).toBeNull()
    expect(
      column('source_position', { Configurations: { SourceState: { source_position: odb.double(1e39) } } }),
    ).toBeNull()
  })

  test('an array where one value is meant, except an array of one', () => {
    expect(exposure([0.3, 0.4])).toBeNull()
    expect(exposure([0.3])).toBe(0.3)
  })

  test('text for a number, a number for text, a fraction for an integer, an integer out of range', () => {
    expect(column('exposure_sec', { Configurations: { Exposure: odb.string('0.3') } })).toBeNull()
    expect(
      column('run_description', { Experiment: { 'Run Parameters': { 'Run description': odb.int(3) } } }),
    ).toBeNull()
    expect(column('run_type', { Configurations: { run_type: odb.double(0.5) } })).toBeNull()
    expect(column('run_type', { Configurations: { run_type: odb.dword(0xffffffff) } })).toBeNull()
    expect(column('HV_STATE', { Equipment: { HV: { Variables: { ChState: odb.int([-1]) } } } })).toBeNull()
  })

  test('a boolean is 1 or 0, from a BOOL or from a number that is one', () => {
    const pedestal = (spec: OdbSpec[string]) => column('pedestal_run', { Configurations: { Pedestal: spec } })
    expect([
      pedestal(odb.bool(true)),
      pedestal(odb.bool(false)),
      pedestal(odb.int(1)),
      pedestal(odb.int(2)),
    ]).toEqual([1, 0, 1, null])
  })

  test('text is cut to what its column holds, never inside a character', () => {
    const description = column('run_description', {
      Experiment: { 'Run Parameters': { 'Run description': odb.string('é'.repeat(40_000)) } },
    })
    expect(description).toBe('é'.repeat(32_767))
    expect(
      column('sequence_filename', {
        Sequencer: { Command: { 'Load filename': odb.string('😀'.repeat(300)) } },
      }),
    ).toBe('😀'.repeat(255))
  })
})

describe("C's ctime", () => {
  test.each([
    ['Mon May  1 18:51:19 2023', '2023-05-01 18:51:19'],
    ['Thu Dec 14 23:33:17 2023', '2023-12-14 23:33:17'],
    ['Thu Feb 29 00:00:00 2024\n', '2024-02-29 00:00:00'],
  ])('%j is %s, local time unchanged', (text, dateTime) => {
    expect(dateTimeOfCtime(text)).toBe(dateTime)
  })

  test.each([
    '',
    'Mon May  1 18:51 2023',
    'Wed Feb 29 00:00:00 2023',
    'Mon Mai  1 18:51:19 2023',
    'Mon May  1 24:00:00 2023',
    'Mon May  0 10:00:00 2023',
    'Thu Jan  1 01:00:00 1969',
  ])('%j is no time', (text) => {
    expect(dateTimeOfCtime(text)).toBeNull()
  })
})
