import { describe, expect, test } from 'vitest'
import { mergeParameters, parameterSources } from '../../../shared/catalogue/run-parameters.ts'

const NO_SOURCE = { fileParameters: null, loggerParameters: null, corrections: null }
const correction = (value: number | string) => ({ value, by: 'ana', at: '2026-01-15T08:00:00.000Z' })

describe('the parameters of a run', () => {
  const stated = {
    loggerParameters: { GEM1_V: 430, GEM2_V: 431, GEM3_V: 432, run_type: 1 },
    fileParameters: { GEM1_V: 440, GEM2_V: 441, GEM3_V: null, T1_V: null },
    corrections: { GEM1_V: correction(450), T2_V: correction(500) },
  }

  test('a parameter is taken from a person, else from the files, else from the logger', () => {
    expect(mergeParameters(stated)).toEqual({
      GEM1_V: 450,
      GEM2_V: 441,
      GEM3_V: 432,
      run_type: 1,
      T1_V: null,
      T2_V: 500,
    })
  })

  test('each parameter has its source, and a parameter that no source states has none', () => {
    expect(parameterSources(stated)).toEqual({
      GEM1_V: 'person',
      GEM2_V: 'file',
      GEM3_V: 'logger',
      run_type: 'logger',
      T2_V: 'person',
    })
  })

  test('a run for which no source states parameters has none', () => {
    expect(mergeParameters(NO_SOURCE)).toEqual({})
    expect(parameterSources(NO_SOURCE)).toEqual({})
  })
})
