import { describe, expect, test } from 'vitest'
import { ctime } from '../../../../cli/simulate/local-time.ts'
import { midasFileName, type OdbForm, odbForms } from '../../../../cli/simulate/options.ts'
import { simulateRun } from '../../../../cli/simulate/run.ts'
import { runFileBytes } from '../../../../cli/simulate/write.ts'
import { runParameters, runTimes } from '../../../../shared/extraction/run-parameters.ts'
import { cameraOf } from '../../../../shared/midas/camera.ts'
import { decodeDigitizerHeader, digitizerSampleCount } from '../../../../shared/midas/digitizer.ts'
import { dumpsOf, eventsOf, type Options, START, small, streamOf } from '../../../support/simulated-runs.ts'

describe('a simulated run', () => {
  test('a simulated run has the same bytes with the same seed, and different bytes with another', async () => {
    const options: Options = { ...small, digitizers: true, seed: 7 }
    const first = await runFileBytes(options)
    expect(Buffer.compare(first, await runFileBytes(options))).toBe(0)
    expect(Buffer.compare(first, await runFileBytes({ ...options, seed: 8 }))).not.toBe(0)
    expect(Buffer.compare(first, await runFileBytes({ ...options, runNumber: 2 }))).not.toBe(0)
  })

  test('a simulated run begins and ends with the ODB dumps of its run number, and has each camera event once', async () => {
    const events = await eventsOf({ ...small, runNumber: 114497, events: 40 })
    expect(events.at(0)).toMatchObject({ id: 0x8000, mask: 0x494d, serial: 114497, time: START })
    expect(events.at(-1)).toMatchObject({ id: 0x8001, mask: 0x494d, serial: 114497 })
    const triggers = events.filter((event) => event.id === 1)
    expect(triggers.map((event) => event.serial)).toEqual(Array.from({ length: 40 }, (_, serial) => serial))
    const times = events.map((event) => event.time)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })

  test('a simulated run has slow-control events between the camera events: high voltage, environment with an empty OUTP, camera temperature, a message', async () => {
    const events = await eventsOf({ ...small, events: 40 })
    const first = (id: number) => events.find((event) => event.id === id)
    expect([...(first(3)?.banks.keys() ?? [])]).toEqual(['DMND', 'MSRD', 'CRNT'])
    expect(first(5)?.banks.get('INPT')).toMatchObject({ type: 9, data: { length: 24 * 4 } })
    expect(first(5)?.banks.get('OUTP')?.data).toHaveLength(0)
    expect(events.filter((event) => event.id === 7)).toHaveLength(3)
    expect(first(7)?.banks.get('TCAM')).toMatchObject({ type: 10, data: { length: 8 } })
    expect(new TextDecoder().decode(first(0x8002)?.body)).toBe('[Logger,INFO] Run #1 started\0')
    expect((await eventsOf({ ...small, slowEvents: false })).map((event) => event.id)).toEqual([
      0x8000, 1, 1, 1, 1, 1, 0x8001,
    ])
  })

  test.each([
    ['fusion', 2304, 2304],
    ['quest', 4096, 2304],
    ['flash', 2048, 2048],
    [64, 64, 64],
  ] as const)('a simulated run has frames of the %s camera', async (camera, width, height) => {
    const events = await eventsOf({ ...small, camera, events: 1 })
    const frame = events.find((event) => event.id === 1)?.banks.get('CAM0')
    expect(frame?.type).toBe(4)
    expect(cameraOf(0, frame?.data.length ?? 0)).toMatchObject({ width, height })
  })

  test.each(['bank16', 'bank32', 'bank32a'] as const)(
    'in %s has digitizer samples for just the triggers its header announces',
    async (bankFormat) => {
      const events = await eventsOf({ camera: 64, events: 3, bankFormat })
      for (const { banks } of events.filter((event) => event.id === 1)) {
        expect([...banks.keys()]).toEqual(['DIG0', 'DGH0', 'CAM0'])
        const header = decodeDigitizerHeader(
          banks.get('DGH0')?.data ?? new Uint8Array(),
          banks.get('DGH0')?.type ?? 0,
        )
        expect(
          header.boards.map(({ model, channels, resolutionBits }) => [model, channels, resolutionBits]),
        ).toEqual([
          [1742, 32, 12],
          [1720, 8, 12],
        ])
        expect(banks.get('DIG0')?.data.length).toBe(digitizerSampleCount(header) * 2)
      }
    },
  )

  test('frames have pedestal and noise around 99 counts, and light of particles only in runs that are not pedestals', async () => {
    const brightest = async (pedestal: boolean) => {
      const events = await eventsOf({ ...small, camera: 512, events: 6, pedestal })
      return events.flatMap(({ banks }) => {
        const data = banks.get('CAM0')?.data
        if (data === undefined) return []
        const pixels = new Uint16Array(data.slice().buffer)
        const blocks = Array.from({ length: 64 * 64 }, (_, block) => {
          const from = Math.floor(block / 64) * 8 * 512 + (block % 64) * 8
          let sum = 0
          for (let row = 0; row < 8; row++)
            for (let column = 0; column < 8; column++)
              sum += Math.min(200, pixels[from + row * 512 + column] ?? 0)
          return sum / 64
        }).toSorted((a, b) => a - b)
        return [{ median: blocks[2048] ?? 0, most: blocks.at(-1) ?? 0 }]
      })
    }
    const [pedestal, signal] = [await brightest(true), await brightest(false)]
    for (const frame of [...pedestal, ...signal]) expect(frame.median).toBeGreaterThan(98)
    for (const frame of [...pedestal, ...signal]) expect(frame.median).toBeLessThan(100)
    expect(Math.max(...pedestal.map((frame) => frame.most))).toBeLessThan(106)
    expect(Math.max(...signal.map((frame) => frame.most))).toBeGreaterThan(108)
  })

  test('a simulated run compresses like real runs, about 2.7 to 1', async () => {
    const options: Options = { events: 2 }
    const ratio = (await streamOf(options)).length / (await runFileBytes(options)).length
    expect(ratio).toBeGreaterThan(2.4)
    expect(ratio).toBeLessThan(3)
  })

  test('a simulated run is made event by event: the first of ten million events are available immediately', async () => {
    const run = simulateRun({ ...small, events: 10_000_000 })
    for (let chunk = 0; chunk < 10; chunk++) expect((await run.next()).done).toBe(false)
    await run.return()
  })
})

describe('the ODB of a simulated run', () => {
  const expected = runParametersOf('json')
  async function runParametersOf(odb: OdbForm) {
    const [begin, end] = dumpsOf(await eventsOf({ ...small, odb, events: 12 }))
    return runParameters(begin?.tree ?? null, end?.tree ?? null)
  }

  test.each(odbForms)('as %s fills every Runlog column', async (odb) => {
    const parameters = await runParametersOf(odb)
    expect(Object.entries(parameters).filter(([, value]) => value === null)).toEqual([])
    expect(parameters).toEqual(await expected)
    expect(parameters).toMatchObject({
      run_number: 1,
      start_time: '2023-12-14 23:33:17',
      number_of_events: 12,
      pedestal_run: 0,
      GEM3_V: 420,
      HV_STATE: 1,
    })
  })

  test('the ODB marks a pedestal run with the values that the reconstruction uses', async () => {
    const [begin, end] = dumpsOf(await eventsOf({ ...small, pedestal: true }))
    expect(runParameters(begin?.tree ?? null, end?.tree ?? null)).toMatchObject({
      pedestal_run: 1,
      HV_STATE: 0,
      GEM1_V: 0,
    })
  })

  test('the ODB has decimal commas on request', async () => {
    const dumps = dumpsOf(await eventsOf({ ...small, odb: 'json-commas' }))
    expect(dumps.map((dump) => dump.warnings.map((warning) => warning.code))).toEqual([
      ['odb-decimal-commas'],
      ['odb-decimal-commas'],
    ])
  })

  test('the ODB has the local time of the DAQ in summer and in winter', () => {
    expect(ctime(1_682_959_879)).toBe('Mon May  1 18:51:19 2023')
    expect(ctime(1_702_593_197)).toBe('Thu Dec 14 23:33:17 2023')
    expect(ctime(1_694_000_000)).toBe('Wed Sep  6 13:33:20 2023')
  })
})

describe('a run of several files', () => {
  test('a run of several files distributes its events, ends only in the last file, and never has the stop time of the previous run', async () => {
    const options: Options = { ...small, events: 10, subruns: 3 }
    const files = [await eventsOf(options, 0), await eventsOf(options, 1), await eventsOf(options, 2)]
    expect(
      files.flatMap((events) => events.filter((event) => event.id === 1).map((event) => event.serial)),
    ).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const results = files.map((events) => {
      const [begin, end] = dumpsOf(events)
      return {
        ...runTimes(begin?.tree ?? null, end?.tree ?? null),
        events: runParameters(begin?.tree ?? null, end?.tree ?? null).number_of_events,
      }
    })
    expect(results.map((result) => result.startedAt)).toEqual([START, START, START])
    expect(results.map((result) => result.events)).toEqual([null, null, 10])
    expect(results.map((result) => result.stoppedAt !== null)).toEqual([false, false, true])
  })

  test('the files are named by run and subrun, with six digits or more where needed', () => {
    expect(midasFileName(42, null)).toBe('run00042.mid')
    expect(midasFileName(114497, null)).toBe('run114497.mid')
    expect(midasFileName(104, 3)).toBe('run00104sub0003.mid')
  })
})

describe('options that no DAQ could have', () => {
  test.each([
    [{ camera: 'fusion', bankFormat: 'bank16' }, /16-bit banks/],
    [{ camera: 3 }, /8 to 4096/],
    [{ runNumber: -1 }, /runNumber/],
    [{ events: 1.5 }, /events/],
    [{ tag: '../etc' }, /a tag is/],
    [{ subruns: 0 }, /subruns/],
  ] as const)('the options %j are refused with the reason', async (options, reason) => {
    await expect(streamOf(options)).rejects.toThrow(reason)
  })
})
