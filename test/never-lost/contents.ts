/**
 * The keys of the test and the contents that the DAQ may write under them: small runs, read like large ones.
 */
import { beginOfRun, cameraEvent, concat, dump, endOfRun, START_TIME, text } from '../support/midas-run.ts'

export const KEYS = ['LNGS/run00011.mid', 'LNF/run00011.mid', 'LNGS/run00012.mid'] as const
const RUN_NUMBERS = [11, 11, 12] as const

/**
 * A run; the same run with other bytes; a later run with the same number; and an unreadable file. Run 11 has
 * the same bytes in both tags.
 */
export const CONTENTS = ['first', 'corrected', 'number used again', 'unreadable'] as const

export function bytesOf(key: number, content: number): Uint8Array {
  const runNumber = RUN_NUMBERS[key] ?? 0
  if (content === 3) return text('this is not a run')
  const start = START_TIME + (content === 2 ? 86_400 : 0)
  const runinfo = {
    'Run number/key': { type: 7, access_mode: 7, last_written: 1 },
    'Run number': runNumber,
    'Start time binary/key': { type: 6, access_mode: 7, last_written: 1 },
    'Start time binary': `0x${start.toString(16).padStart(8, '0')}`,
  }
  const odb = dump(runNumber, { Runinfo: runinfo })
  return concat(beginOfRun(runNumber, odb), cameraEvent(content), endOfRun(runNumber, odb))
}
