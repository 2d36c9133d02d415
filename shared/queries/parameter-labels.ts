/** Run parameters for people: a label and a unit. The name of the column stays the hint beside it. Pure. */
import { type RunlogColumn, runlogColumns } from '../extraction/run-parameters.ts'

export interface ParameterLabel {
  readonly label: string
  /** Empty for numbers without a unit and for text. */
  readonly unit: string
}

const label = (text: string, unit = ''): ParameterLabel => ({ label: text, unit })

/** By Runlog column. */
const LABELS: Readonly<Record<string, ParameterLabel>> = {
  run_number: label('Run number'),
  run_description: label('Description'),
  start_time: label('Begin, local time of the DAQ'),
  stop_time: label('End, local time of the DAQ'),
  exposure_sec: label('Exposure', 's'),
  DRIFT_V: label('Drift voltage', 'V'),
  OFFSET_V: label('Offset voltage', 'V'),
  HV_STATE: label('High voltage state'),
  total_gas_flow: label('Gas flow', 'l/h'),
  sequence_filename: label('Sequence'),
  sequencer_running: label('Sequencer running'),
  pedestal_run: label('Pedestal run'),
  source_type: label('Source type'),
  source_position: label('Source position', 'cm'),
  discrimination_threshold: label('Trigger threshold', 'mV'),
  trigger_veto_time: label('Trigger veto time', 'µs'),
  trigger_logic: label('Trigger logic'),
  run_type: label('Run type'),
  drs4_correction_active: label('DRS4 correction'),
  shielding_configuration: label('Shielding'),
  pmt_acquisition: label('PMT acquisition'),
  number_of_events: label('Triggers sent by the DAQ'),
}

/** `GEM1_V`, `T2_V`, `PMT4_V`. */
const CHANNEL = /^(GEM|T|PMT)(\d)_V$/
const CHANNELS: Readonly<Record<string, string>> = { GEM: 'GEM', T: 'Transfer gap', PMT: 'PMT' }

/** A column without a label keeps its name. */
export function labelOf(name: string): ParameterLabel {
  const [, kind = '', number = ''] = CHANNEL.exec(name) ?? []
  return LABELS[name] ?? (kind === '' ? label(name) : label(`${CHANNELS[kind]} ${number} voltage`, 'V'))
}

const BOOLEANS = new Set(
  runlogColumns
    .filter(({ sqlType }: RunlogColumn) => sqlType === 'BOOLEAN')
    .map(({ name }: RunlogColumn) => name),
)

/** Whether the parameter is stored as 1 or 0 and means yes or no. */
export const isYesOrNo = (name: string): boolean => BOOLEANS.has(name)
