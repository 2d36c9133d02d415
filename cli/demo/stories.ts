/** The five runs of the demonstration and their expected results. */
import type { Compression } from '../simulate/compress.ts'
import { defaultOptions, type SimulationOptions } from '../simulate/options.ts'

export interface DemoRun {
  readonly story: string
  readonly simulation: SimulationOptions
  readonly compression: Compression
  readonly expected: {
    readonly complete: boolean
    readonly problem: boolean
    /** Queues that get a request, sorted. */
    readonly requests: readonly string[]
  }
}

const FIRST_RUN = 12345
const BEGIN = Math.floor(Date.UTC(2026, 0, 15, 8) / 1000)
const SECONDS_BETWEEN_RUNS = 240

const run = (index: number, simulation: Partial<SimulationOptions>): SimulationOptions => ({
  ...defaultOptions,
  seed: index + 1,
  runNumber: FIRST_RUN + index,
  startTime: BEGIN + index * SECONDS_BETWEEN_RUNS,
  events: 12,
  camera: 512,
  description: 'Demonstration run',
  ...simulation,
})

export const demoRuns: readonly DemoRun[] = [
  {
    story: 'full camera frames',
    simulation: run(0, { camera: 'fusion', description: 'S003:DATA:Fe, demonstration' }),
    compression: 'gzip',
    expected: { complete: true, problem: false, requests: ['reco-requests', 'tape-requests'] },
  },
  {
    story: 'a pedestal run',
    simulation: run(1, { pedestal: true, events: 100, camera: 256, description: 'S000:PED, demonstration' }),
    compression: 'gzip',
    expected: { complete: true, problem: false, requests: ['reco-requests', 'tape-requests'] },
  },
  {
    story: 'cut by a crash of the DAQ',
    simulation: run(2, { fault: 'cut-stream', events: 30 }),
    compression: 'gzip',
    expected: { complete: false, problem: true, requests: ['alerts', 'tape-requests'] },
  },
  {
    story: 'no camera bank',
    simulation: run(3, { fault: 'no-camera', events: 20 }),
    compression: 'gzip',
    expected: { complete: true, problem: true, requests: ['alerts', 'tape-requests'] },
  },
  {
    story: 'lz4, decimal commas in the ODB',
    simulation: run(4, { odb: 'json-commas', events: 40 }),
    compression: 'lz4',
    expected: { complete: true, problem: false, requests: ['reco-requests', 'tape-requests'] },
  },
]
