/**
 * Read-out noise: a pool of noise samples is drawn once, and each frame or waveform is a piece of it from a
 * random position. Drawing every pixel would be fifty times slower than compressing it. The pool is much longer
 * than deflate's window of 32 KiB, so the reuse does not improve the compression.
 */
import type { Random } from './random.ts'

export interface NoiseShape {
  readonly mean: number
  /** Parts of a sum of gaussians; fractions add up to 1. */
  readonly parts: readonly { readonly fraction: number; readonly sigma: number }[]
}

/** Quantiles of the rounded noise: a uniform 16-bit number picks a value with its probability. */
function quantiles(shape: NoiseShape): Uint16Array {
  const table = new Uint16Array(0x10000)
  const widest = Math.max(...shape.parts.map((part) => part.sigma))
  const least = Math.max(0, Math.floor(shape.mean - 6 * widest))
  const most = Math.ceil(shape.mean + 6 * widest)
  let filled = 0
  for (let value = least; value <= most; value++) {
    const below = shape.parts.reduce(
      (sum, { fraction, sigma }) => sum + fraction * normalCdf((value + 0.5 - shape.mean) / sigma),
      0,
    )
    const until = value === most ? table.length : Math.round(below * table.length)
    table.fill(value, filled, until)
    filled = Math.max(filled, until)
  }
  return table
}

/** The normal distribution's cumulative probability (Abramowitz and Stegun 26.2.17, error below 1e-7). */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x))
  const tail =
    (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return x >= 0 ? 1 - tail : tail
}

/** Draws `length` independent samples. */
export function noisePool(random: Random, shape: NoiseShape, length: number): Uint16Array {
  const table = quantiles(shape)
  const pool = new Uint16Array(length)
  for (let at = 0; at < length; at += 2) {
    const bits = random.bits()
    pool[at] = table[bits & 0xffff] ?? 0
    if (at + 1 < length) pool[at + 1] = table[bits >>> 16] ?? 0
  }
  return pool
}

/**
 * Fills `target` with a piece of the pool from a random position, repeating the pool as often as needed.
 */
export function fillWithNoise(target: Uint16Array, pool: Uint16Array, random: Random): void {
  let from = Math.floor(random.uniform() * pool.length)
  for (let at = 0; at < target.length; ) {
    const length = Math.min(target.length - at, pool.length - from)
    target.set(pool.subarray(from, from + length), at)
    at += length
    from = 0
  }
}
