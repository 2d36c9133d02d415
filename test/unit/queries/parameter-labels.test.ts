import { expect, test } from 'vitest'
import { isYesOrNo, labelOf } from '../../../shared/queries/parameter-labels.ts'
import { shownColumns } from '../../../shared/queries/shown-parameters.ts'

test('every parameter that is shown has a label of its own, which is not the name of its column', () => {
  const labels = shownColumns.map(({ name }) => labelOf(name).label)
  expect(labels.filter((label) => /_|^[a-z]/.test(label))).toEqual([])
  expect(new Set(labels).size).toBe(labels.length)
})

test('voltages have their unit, and a column that is not known keeps its name', () => {
  expect(labelOf('GEM1_V')).toEqual({ label: 'GEM 1 voltage', unit: 'V' })
  expect(labelOf('T2_V')).toEqual({ label: 'Transfer gap 2 voltage', unit: 'V' })
  expect(labelOf('exposure_sec').unit).toBe('s')
  expect(labelOf('file_checksum')).toEqual({ label: 'file_checksum', unit: '' })
})

test('columns of 1 and 0 are yes or no', () => {
  expect(['pedestal_run', 'sequencer_running', 'HV_STATE', 'run_number'].map(isYesOrNo)).toEqual([
    true,
    true,
    false,
    false,
  ])
})
