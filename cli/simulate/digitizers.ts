/**
 * The DIG0 and DGH0 banks of a camera event: waveforms of the photomultipliers in a fast and a slow
 * digitizer.
 */
import { fillWithNoise, noisePool } from './noise.ts'
import { type Random, randomStream } from './random.ts'

interface Board {
  readonly model: 1742 | 1720
  readonly samples: number
  readonly channels: number
  readonly samplingMHz: number
  readonly offset: number
  /** Channels that carry a photomultiplier's signal. */
  readonly signals: readonly number[]
  /** Decay time of a pulse, samples. */
  readonly decay: number
}

/** The two boards of LNGS. `samples` overrides the record length (16-bit banks hold 64 KiB at most). */
function boards(samples: number | null): readonly Board[] {
  return [
    {
      model: 1742,
      samples: samples ?? 1024,
      channels: 32,
      samplingMHz: 750,
      offset: 13107,
      signals: [1, 2, 3, 4],
      decay: 40,
    },
    {
      model: 1720,
      samples: samples ?? 4000,
      channels: 8,
      samplingMHz: 250,
      offset: 32768,
      signals: [0, 1, 2, 3],
      decay: 15,
    },
  ]
}

const BASELINE = 3500
const RESOLUTION_LEVELS = 4096
const TICK_SECONDS = 8.5e-9

interface DigitizerBanks {
  readonly header: Uint8Array
  readonly samples: Uint8Array
}

export interface DigitizerSimulator {
  /** The banks of one camera event with `triggers` triggers on each board. */
  event(random: Random, triggers: number): DigitizerBanks
}

export function createDigitizers(seed: number, samples: number | null): DigitizerSimulator {
  const crate = boards(samples)
  const pool = noisePool(
    randomStream(seed, 0xd16),
    { mean: BASELINE, parts: [{ fraction: 1, sigma: 1.8 }] },
    1 << 19,
  )
  return {
    event(random, triggers) {
      const words: number[] = [crate.length]
      const wave = new Uint16Array(
        crate.reduce((sum, board) => sum + triggers * board.channels * board.samples, 0),
      )
      fillWithNoise(wave, pool, random)
      let at = 0
      for (const board of crate) {
        words.push(board.model, board.samples, board.channels, triggers, RESOLUTION_LEVELS, board.samplingMHz)
        words.push(...Array.from({ length: board.channels }, () => board.offset))
        words.push(...triggerTimeTags(random, triggers))
        if (board.model === 1742)
          words.push(...Array.from({ length: triggers }, () => Math.floor(random.uniform() * 1024)))
        for (let trigger = 0; trigger < triggers; trigger++) {
          const peak = random.between(0.3, 0.5) * board.samples
          for (const channel of board.signals)
            addPulse(
              wave.subarray(at + channel * board.samples, at + (channel + 1) * board.samples),
              random,
              peak,
              board.decay,
            )
          at += board.channels * board.samples
        }
      }
      return { header: new Uint8Array(Uint32Array.from(words).buffer), samples: new Uint8Array(wave.buffer) }
    },
  }
}

/** Ascending times between 180 ms after the camera's start and the end of a 0.3 s exposure. */
function triggerTimeTags(random: Random, triggers: number): readonly number[] {
  return Array.from({ length: triggers }, () => Math.floor(random.between(0.18, 0.48) / TICK_SECONDS)).sort(
    (a, b) => a - b,
  )
}

/** A negative pulse with a sharp edge and an exponential tail. */
function addPulse(samples: Uint16Array, random: Random, peak: number, decay: number): void {
  const height = random.between(80, 1500)
  const from = Math.max(0, Math.round(peak + 3 * random.gaussian()))
  for (let at = from; at < Math.min(samples.length, from + 8 * decay); at++)
    samples[at] = Math.max(0, Math.round((samples[at] ?? 0) - height * Math.exp((from - at) / decay)))
}
