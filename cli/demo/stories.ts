/** The five runs of the demonstration and their expected results. */
import type { Compression } from '../simulate/compress.ts'
import { defaultOptions, type SimulationOptions } from '../simulate/options.ts'

type Story = Omit<DemoRun, 'simulation'> & { readonly simulation: Omit<SimulationOptions, 'startTime'> }

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
const SECONDS_BETWEEN_RUNS = 240

const run = (
  index: number,
  simulation: Partial<SimulationOptions>,
): Omit<SimulationOptions, 'startTime'> => ({
  ...defaultOptions,
  seed: index + 1,
  runNumber: FIRST_RUN + index,
  events: 12,
  camera: 512,
  description: 'Demonstration run',
  ...simulation,
})

const stories: readonly Story[] = [
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

/** One run after another, the last of which ends about now. */
export function demoRuns(now: Date): readonly DemoRun[] {
  const begin = Math.floor(now.getTime() / 1000) - stories.length * SECONDS_BETWEEN_RUNS
  return stories.map((story, index) => ({
    ...story,
    simulation: { ...story.simulation, startTime: begin + index * SECONDS_BETWEEN_RUNS },
  }))
}
