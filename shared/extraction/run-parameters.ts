/**
 * The run parameters of the legacy Runlog and their ODB paths.
 *
 * MIDAS's logger filled these columns itself, through ODB links, at begin and end of run; here they are read
 * from the dumps in the run file. Columns that the Python tools added manually (file_*, online_reco_status)
 * have no ODB path.
 */
import type { OdbScalar, OdbTree, OdbValue } from '../midas/odb/tree.ts'
import { cutText } from '../text.ts'

/**
 * A Runlog column's value as stored: numbers, text (DATETIME as `YYYY-MM-DD HH:MM:SS` local time), booleans
 * as 1 and 0, null when absent.
 */
export type RunParameter = number | string | null
export type RunParameters = Readonly<Record<string, RunParameter>>

type RunlogSqlType =
  | 'INT'
  | 'INT UNSIGNED'
  | 'FLOAT'
  | 'DOUBLE'
  | 'BOOLEAN'
  | 'DATETIME'
  | 'TEXT'
  | 'VARCHAR(255)'

export interface RunlogColumn {
  readonly name: string
  readonly sqlType: RunlogSqlType
  readonly odbPath: string
  /** The dump from which the value is read: that at begin of run, or that at end of run. */
  readonly dump: 'begin' | 'end'
  /** A path that replaces the value once the run has ended; null for nearly all columns. */
  readonly odbPathAtEnd: string | null
}

const begin = (
  name: string,
  sqlType: RunlogSqlType,
  odbPath: string,
  odbPathAtEnd: string | null = null,
): RunlogColumn => ({
  name,
  sqlType,
  odbPath,
  dump: 'begin',
  odbPathAtEnd,
})
const end = (name: string, sqlType: RunlogSqlType, odbPath: string): RunlogColumn => ({
  name,
  sqlType,
  odbPath,
  dump: 'end',
  odbPathAtEnd: null,
})

const DEMAND = '/Equipment/HV/Variables/Demand'
const STORAGE_DEFAULT = '/Configurations/storage_flag_default'

/** Every column with an ODB source, in the order of the production Runlog. */
export const runlogColumns: readonly RunlogColumn[] = [
  begin('run_number', 'INT', '/Runinfo/Run number'),
  begin('run_description', 'TEXT', '/Experiment/Run Parameters/Run description'),
  begin('start_time', 'DATETIME', '/Runinfo/Start time'),
  begin('exposure_sec', 'DOUBLE', '/Configurations/Exposure'),
  begin('GEM3_V', 'FLOAT', `${DEMAND}[1]`),
  begin('GEM2_V', 'FLOAT', `${DEMAND}[3]`),
  begin('GEM1_V', 'FLOAT', `${DEMAND}[5]`),
  begin('T2_V', 'FLOAT', `${DEMAND}[2]`),
  begin('T1_V', 'FLOAT', `${DEMAND}[4]`),
  begin('DRIFT_V', 'FLOAT', `${DEMAND}[6]`),
  begin('OFFSET_V', 'FLOAT', `${DEMAND}[0]`),
  begin('PMT1_V', 'FLOAT', `${DEMAND}[14]`),
  begin('PMT2_V', 'FLOAT', `${DEMAND}[15]`),
  begin('PMT3_V', 'FLOAT', `${DEMAND}[20]`),
  begin('PMT4_V', 'FLOAT', `${DEMAND}[18]`),
  begin('HV_STATE', 'INT UNSIGNED', '/Equipment/HV/Variables/ChState[0]'),
  begin('storage_local_status', 'INT', STORAGE_DEFAULT, '/Configurations/storage_flag_mid_written'),
  begin('storage_cloud_status', 'INT', STORAGE_DEFAULT),
  begin('storage_tape_status', 'INT', STORAGE_DEFAULT),
  begin('total_gas_flow', 'FLOAT', '/Equipment/GasSystem/Variables/Demand[107]'),
  begin('sequence_filename', 'VARCHAR(255)', '/Sequencer/Command/Load filename'),
  begin('sequencer_running', 'BOOLEAN', '/Sequencer/State/Running'),
  begin('pedestal_run', 'BOOLEAN', '/Configurations/Pedestal'),
  begin('source_type', 'INT', '/Configurations/SourceState/source_type'),
  begin('source_position', 'FLOAT', '/Configurations/SourceState/source_position'),
  begin('discrimination_threshold', 'INT', '/Configurations/TriggerState/discrimination_threshold'),
  begin('trigger_veto_time', 'FLOAT', '/Configurations/TriggerState/trigger_veto_time'),
  begin('trigger_logic', 'INT', '/Configurations/TriggerState/trigger_logic'),
  begin('run_type', 'INT', '/Configurations/run_type'),
  begin('drs4_correction_active', 'BOOLEAN', '/Configurations/DRS4Correction'),
  begin('shielding_configuration', 'INT', '/Configurations/shielding_configuration'),
  begin('pmt_acquisition', 'BOOLEAN', '/Configurations/pmt_acquisition'),
  end('stop_time', 'DATETIME', '/Runinfo/Stop time'),
  end('number_of_events', 'DOUBLE', '/Equipment/Trigger/Statistics/Events sent'),
]

/**
 * All Runlog columns from the ODB. Begin-of-run columns come from the begin dump or, where that is missing or
 * could not be read, from the end dump. Absent values, and values of a wrong type or outside the range of the SQL type, are null.
 */
export function runParameters(beginDump: OdbTree | null, endDump: OdbTree | null): RunParameters {
  const ended = stopOf(beginDump, endDump) === null ? null : endDump
  const entries = runlogColumns.map((column) => {
    const { odbPath } = column
    const found = column.dump === 'begin' ? atBegin(beginDump, endDump, odbPath) : ended?.get(odbPath)
    const value = coerceParameter(found, column.sqlType)
    const later =
      column.odbPathAtEnd === null ? null : coerceParameter(ended?.get(column.odbPathAtEnd), column.sqlType)
    return [column.name, later ?? value] as const
  })
  return Object.fromEntries(entries)
}

/**
 * Begin and end of the run by the ODB's clock, Unix seconds. `stoppedAt` is null while the run continues: a
 * begin dump, and the end dump of a subrun in the middle of a run, still contain the text `Stop time` of the
 * previous run.
 */
export function runTimes(
  beginDump: OdbTree | null,
  endDump: OdbTree | null,
): { readonly startedAt: number | null; readonly stoppedAt: number | null } {
  return {
    startedAt: unixSeconds(atBegin(beginDump, endDump, START_TIME)),
    stoppedAt: stopOf(beginDump, endDump),
  }
}

/** A begin dump of which only a part could be read is completed by the end dump. */
function atBegin(beginDump: OdbTree | null, endDump: OdbTree | null, path: string): OdbValue | undefined {
  const value = beginDump?.get(path)
  return value === undefined && beginDump?.isWhole !== true ? endDump?.get(path) : value
}

const START_TIME = '/Runinfo/Start time binary'

const startOf = (dump: OdbTree | null): number | null => unixSeconds(dump?.get(START_TIME))

/**
 * The stop time is valid only in an end dump, if it is set and not before the start; MIDAS sets it to 0 when
 * a run begins.
 */
function stopOf(beginDump: OdbTree | null, endDump: OdbTree | null): number | null {
  const stop = unixSeconds(endDump?.get('/Runinfo/Stop time binary'))
  const start = startOf(endDump) ?? startOf(beginDump)
  return stop === null || (start !== null && stop < start) ? null : stop
}

function unixSeconds(value: OdbValue | undefined): number | null {
  const seconds = scalar(value)
  return typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 && seconds <= 0xffffffff
    ? seconds
    : null
}

/** An array of one element is read as that element, as MIDAS's logger does. */
function scalar(value: OdbValue | undefined): OdbScalar {
  return isArray(value) ? (value.length === 1 ? value[0] : undefined) : value
}

function isArray(value: OdbValue | undefined): value is readonly OdbScalar[] {
  return Array.isArray(value)
}

const FLOAT_MAX = 3.402823466e38
const TEXT_BYTES = 65_535
const VARCHAR_CHARACTERS = 255

/** The value in the type of a column; null for another type or a value outside the range. */
export function coerceParameter(value: OdbValue | undefined, sqlType: RunlogSqlType): RunParameter {
  const given = scalar(value)
  switch (sqlType) {
    case 'INT':
      return integer(given, -0x80000000, 0x7fffffff)
    case 'INT UNSIGNED':
      return integer(given, 0, 0xffffffff)
    case 'BOOLEAN':
      return typeof given === 'boolean' ? Number(given) : integer(given, 0, 1)
    case 'FLOAT':
      return typeof given === 'number' && Math.abs(given) <= FLOAT_MAX ? given : null
    case 'DOUBLE':
      return typeof given === 'number' && Number.isFinite(given) ? given : null
    case 'DATETIME':
      return typeof given === 'string' ? dateTimeOfCtime(given) : null
    case 'TEXT':
      return typeof given === 'string' ? cutBytes(given, TEXT_BYTES) : null
    case 'VARCHAR(255)':
      return typeof given === 'string' ? cutText(given, VARCHAR_CHARACTERS) : null
  }
}

function integer(value: OdbScalar, least: number, most: number): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    ? value
    : null
}

function cutBytes(text: string, most: number): string {
  const bytes = Buffer.from(text, 'utf8')
  // A character that would be cut in two is omitted, since it would become a replacement character.
  return bytes.length <= most
    ? text
    : new TextDecoder().decode(bytes.subarray(0, most)).replace(/\ufffd$/, '')
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const CTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

/**
 * `Mon May  1 18:51:19 2023` (C's ctime, local time of the DAQ) as `2023-05-01 18:51:19`, still local; null
 * for anything else.
 */
export function dateTimeOfCtime(text: string): string | null {
  const match = CTIME.exec(text.trim())
  if (match === null) return null
  const [, monthName = '', day = '', hour = '', minute = '', second = '', year = ''] = match
  const month = MONTHS.indexOf(monthName) + 1
  const daysInMonth = month === 0 ? 0 : new Date(Date.UTC(Number(year), month, 0)).getUTCDate()
  const valid =
    Number(day) >= 1 &&
    Number(day) <= daysInMonth &&
    Number(hour) < 24 &&
    Number(minute) < 60 &&
    Number(second) < 60
  if (!valid || Number(year) < 1970) return null
  return `${year}-${String(month).padStart(2, '0')}-${day.padStart(2, '0')} ${hour}:${minute}:${second}`
}
