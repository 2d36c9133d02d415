/**
 * ODB dumps of the experiment and of the MIDAS programs. They are next to the repository, not in it; without them the
 * tests are skipped.
 */
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { runlogColumns, runParameters, runTimes } from '../../shared/extraction/run-parameters.ts'
import { parseOdb } from '../../shared/midas/odb/odb.ts'
import type { OdbNode, OdbTree } from '../../shared/midas/odb/tree.ts'

const data = new URL('../../../shared/data/', import.meta.url)
const read = (name: string) => new Uint8Array(readFileSync(new URL(name, data)))

/** Begin and end dumps of a run file: the bodies of its events 0x8000 and 0x8001. */
function dumps(name: string): {
  readonly begin: OdbTree
  readonly end: OdbTree
  readonly warnings: readonly string[]
} {
  const stream = new Uint8Array(gunzipSync(read(`midas/${name}`)))
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  const bodies = new Map<number, Uint8Array>()
  for (let at = 0; at < stream.length; at += 16 + view.getUint32(at + 12, true)) {
    const id = view.getUint16(at, true)
    if (id === 0x8000 || id === 0x8001)
      bodies.set(id, stream.subarray(at + 16, at + 16 + view.getUint32(at + 12, true)))
  }
  const [begin, end] = [0x8000, 0x8001].map((id) => parseOdb(bodies.get(id) ?? new Uint8Array()))
  if (begin === undefined || end === undefined) throw new Error('unreachable')
  return {
    begin: begin.tree,
    end: end.tree,
    warnings: [...begin.warnings, ...end.warnings].map((warning) => warning.code),
  }
}

function countKeys(nodes: readonly OdbNode[]): number {
  return nodes.reduce(
    (sum, node) => sum + (node.kind === 'key' ? 1 : countKeys([...node.children.values()])),
    0,
  )
}

const there = existsSync(data)
if (!there)
  console.warn(`skipped: there is no ${data.pathname}; put the peer-written inputs there to run this suite`)

describe.skipIf(!there)('the ODB of the experiment', () => {
  test('the begin-of-run dump of run 17159 (raw JSON) gives its values', () => {
    const { tree, dialect, warnings } = parseOdb(read('odb_raw_fragment_LNGS.json'))
    expect(dialect).toBe('json')
    expect(warnings).toEqual([])
    expect(runParameters(tree, tree)).toEqual({
      run_number: 17159,
      run_description: 'S000:PED:DUMMY, test db',
      start_time: '2023-05-01 18:51:19',
      exposure_sec: 0.3,
      ...{ GEM3_V: 400, GEM2_V: 400, GEM1_V: 400, T2_V: 500, T1_V: 500, DRIFT_V: 996, OFFSET_V: 10 },
      ...{ PMT1_V: 772, PMT2_V: 772, PMT3_V: 800, PMT4_V: 770, HV_STATE: 0 },
      ...{ storage_local_status: 0, storage_cloud_status: -1, storage_tape_status: -1 },
      // That version had no gas system in the ODB and no switch for the photomultipliers.
      ...{ total_gas_flow: null, pmt_acquisition: null },
      sequence_filename: 'S004_middeware_test.msl',
      ...{ sequencer_running: 0, pedestal_run: 0, source_type: 0, source_position: -1 },
      ...{ discrimination_threshold: 2, trigger_veto_time: 100, trigger_logic: 0, run_type: 0 },
      ...{ drs4_correction_active: 0, shielding_configuration: 1 },
      stop_time: '2023-05-01 18:51:28',
      number_of_events: 16,
    })
    expect(runTimes(tree, tree)).toEqual({ startedAt: 1682959879, stoppedAt: 1682959888 })
  })

  test("the Runlog links of the dump lead to the same values as the project's paths", () => {
    const { tree } = parseOdb(read('odb_raw_fragment_LNGS.json'))
    const link = (name: string) => tree.get(`/Logger/Runlog/SQL/Links BOR/${name}`)
    // The fragment has no gas system: its set-point is only in the link.
    const linked = runlogColumns.filter(
      (column) => link(column.name) !== undefined && column.name !== 'total_gas_flow',
    )
    expect(linked).toHaveLength(19)
    for (const column of linked)
      expect([column.name, link(column.name)]).toEqual([column.name, tree.get(column.odbPath)])
  })

  test('the client dump of run 42901 (plain JSON) fills every column except those of the end', () => {
    const { tree, dialect } = parseOdb(read('odb_LNGS.json'))
    expect(dialect).toBe('json-plain')
    const parameters = runParameters(tree, null)
    expect(Object.keys(parameters).filter((name) => parameters[name] === null)).toEqual([
      'stop_time',
      'number_of_events',
    ])
    expect(parameters).toMatchObject({
      ...{
        run_number: 42901,
        run_description: 'Standard - LOW Gain',
        start_time: '2023-12-14 23:33:17',
        exposure_sec: 0.3,
      },
      ...{ GEM1_V: 400, T1_V: 500, DRIFT_V: 960, PMT3_V: 800, HV_STATE: 1, total_gas_flow: 5 },
      ...{
        sequence_filename: 'S019_Run_4_LowGain_Standard_Sequence.msl',
        sequencer_running: 1,
        shielding_configuration: 3,
        pmt_acquisition: 1,
      },
    })
    expect(runTimes(tree, null)).toEqual({ startedAt: 1702593197, stoppedAt: null })
    // The run continues: its stop time is still that of the previous run.
    expect(runParameters(tree, tree).stop_time).toBeNull()
    expect(countKeys(tree.entries('/'))).toBeGreaterThan(1500)
  })

  test('the decimal commas of the Italian locale are read as points', () => {
    const { tree, warnings } = parseOdb(read('odb_raw_locale_bug.txt'))
    expect(tree.get('/Filled pct')).toBe(66.584)
    expect(tree.get('/Filled')).toBe(66584)
    expect(warnings.map((warning) => warning.code)).toEqual(['odb-decimal-commas'])
  })
})

describe.skipIf(!there)('dumps inside run files', () => {
  test('the dumps of a run written by a peer give its parameters', () => {
    const { begin, end, warnings } = dumps('run00002.mid.gz')
    expect(runParameters(begin, end)).toMatchObject({
      run_number: 2,
      exposure_sec: 0.3,
      DRIFT_V: 996,
      number_of_events: 16,
      stop_time: '2023-05-01 18:51:28',
    })
    expect(warnings).toEqual([])
  })

  test('the dumps of a run with decimal commas give the same parameters', () => {
    const [commas, points] = [dumps('run00005_commalocale.mid.gz'), dumps('run00008_bank16.mid.gz')]
    expect(commas.begin.get('/middleware/nsigma')).toBe(2.5)
    expect(commas.warnings).toEqual(['odb-decimal-commas', 'odb-decimal-commas'])
    expect({ ...runParameters(commas.begin, commas.end), run_number: 8 }).toEqual(
      runParameters(points.begin, points.end),
    )
  })

  test('in a subrun written by the MIDAS logger the run continues, and the stale stop time is ignored', () => {
    const { begin, end, warnings } = dumps('run00104sub0000.mid.gz')
    expect(warnings).toEqual([])
    expect(begin.get('/Runinfo/Stop Time')).toMatch(/2026$/)
    expect(runTimes(begin, end)).toEqual({ startedAt: 1795329183, stoppedAt: null })
    expect(runParameters(begin, end)).toMatchObject({
      run_number: 104,
      start_time: '2026-11-22 06:33:03',
      stop_time: null,
      number_of_events: null,
    })
    expect(begin.get('/History/Links/System/Trigger per sec.')).toBe(0)
    expect(begin.get('/System/Buffers/SYSMSG/Filled pct')).toBe(0.14400000000000002)
    expect(end.get('/Equipment/Environment/Variables/INPT[22]')).toBe(15.016265)
    expect(end.get('/Equipment/Trigger/Common/Event ID')).toBe(1)
  })
})
