/**
 * Camera frames as those of the CYGNO detectors: pedestal and noise, hot pixels, and tracks of particles.
 */
import { InvalidInputError } from '../../shared/errors.ts'
import { fillWithNoise, type NoiseShape, noisePool } from './noise.ts'
import { type Random, randomStream } from './random.ts'

/** A sensor of the experiment, or the side in pixels of a small square one. */
export type Camera = 'fusion' | 'flash' | 'quest' | number

export interface FrameSize {
  readonly width: number
  readonly height: number
}

export function frameSize(camera: Camera): FrameSize {
  if (camera === 'fusion') return { width: 2304, height: 2304 }
  if (camera === 'flash') return { width: 2048, height: 2048 }
  if (camera === 'quest') return { width: 4096, height: 2304 }
  if (!Number.isInteger(camera) || camera < 8 || camera > 4096)
    throw new InvalidInputError(
      `the side of a square camera is a whole number from 8 to 4096 pixels, not ${camera}`,
    )
  return { width: camera, height: camera }
}

/**
 * As in sCMOS sensors, most pixels have 2.4 counts of noise and some have much more. The frames compress like
 * real ones: 2.7 to 1.
 */
const SENSOR_NOISE: NoiseShape = {
  mean: 99,
  parts: [
    { fraction: 0.7, sigma: 2.4 },
    { fraction: 0.3, sigma: 9 },
  ],
}
const POOL_PIXELS = 1 << 22
const HOT_PIXEL_FRACTION = 1e-4

export interface CameraSimulator {
  /** One frame, rows of 16-bit little-endian pixels; without tracks when it is a pedestal. */
  frame(random: Random, pedestal: boolean): Uint8Array
}

/** A sensor with its noise and its hot pixels, which are the same in all frames of a seed. */
export function createCamera(seed: number, camera: Camera): CameraSimulator {
  const { width, height } = frameSize(camera)
  const random = randomStream(seed, 0xca3)
  const pool = noisePool(random, SENSOR_NOISE, Math.min(POOL_PIXELS, Math.max(width * height * 4, 1 << 16)))
  const hotPixels = Array.from({ length: Math.ceil(width * height * HOT_PIXEL_FRACTION) }, () => ({
    at: Math.floor(random.uniform() * width * height),
    counts: Math.round(20 + 400 * random.uniform() ** 4),
  }))
  return {
    frame(frameRandom, pedestal) {
      const pixels = new Uint16Array(width * height)
      fillWithNoise(pixels, pool, frameRandom)
      for (const { at, counts } of hotPixels) pixels[at] = (pixels[at] ?? 0) + counts
      if (!pedestal) drawTracks({ pixels, width, height }, frameRandom)
      return new Uint8Array(pixels.buffer)
    },
  }
}

interface Frame extends FrameSize {
  readonly pixels: Uint16Array
}

/**
 * Typical content of a 0.3 s exposure underground: some low-energy spots, sometimes an alpha particle or a
 * muon.
 */
function drawTracks(frame: Frame, random: Random): void {
  const scale = frame.width / 2304
  const inside = () => ({
    x: random.between(0.1, 0.9) * frame.width,
    y: random.between(0.1, 0.9) * frame.height,
  })
  const spots = Math.floor(random.between(2, 9))
  for (let spot = 0; spot < spots; spot++) {
    const { x, y } = inside()
    stamp(frame, x, y, scale * random.between(5, 9), random.between(8, 20))
  }
  if (random.uniform() < 0.4) {
    const { x, y } = inside()
    const curvature = random.between(-0.003, 0.003) / scale
    drawTrack(frame, random, {
      x,
      y,
      lengthPixels: scale * random.between(120, 500),
      sigma: scale * 10,
      counts: 18,
      curvature,
    })
  }
  if (random.uniform() < 0.5) {
    const side = random.uniform() * frame.height
    drawTrack(frame, random, {
      x: 0,
      y: side,
      lengthPixels: frame.width * 1.2,
      sigma: scale * 4,
      counts: 3,
      curvature: 0,
    })
  }
}

interface Track {
  readonly x: number
  readonly y: number
  readonly lengthPixels: number
  /** Width across the track (diffusion), pixels. */
  readonly sigma: number
  /** Light of one step at its peak, counts. */
  readonly counts: number
  /** Radians of bending per pixel. */
  readonly curvature: number
}

/**
 * Light in steps of one sigma along the path, brighter towards the end as an alpha particle's (the Bragg
 * peak).
 */
function drawTrack(frame: Frame, random: Random, track: Track): void {
  let { x, y } = track
  let angle = track.curvature === 0 ? random.between(-0.4, 0.4) : random.between(0, 2 * Math.PI)
  const step = Math.max(1, track.sigma)
  for (let done = 0; done < track.lengthPixels; done += step) {
    const bragg = track.curvature === 0 ? 1 : 1 + done / track.lengthPixels
    stamp(frame, x, y, track.sigma, track.counts * bragg * random.between(0.7, 1.3))
    angle += step * (track.curvature + 0.002 * random.gaussian())
    x += step * Math.cos(angle)
    y += step * Math.sin(angle)
  }
}

/** Adds a round gaussian blob of light, cut at three sigma. */
function stamp(frame: Frame, x: number, y: number, sigma: number, counts: number): void {
  const width = Math.max(sigma, 0.7)
  const reach = Math.ceil(3 * width)
  const left = Math.max(0, Math.round(x) - reach)
  const right = Math.min(frame.width - 1, Math.round(x) + reach)
  for (
    let row = Math.max(0, Math.round(y) - reach);
    row <= Math.min(frame.height - 1, Math.round(y) + reach);
    row++
  ) {
    const peak = counts * Math.exp(-((row - y) ** 2) / (2 * width * width))
    for (let column = left; column <= right; column++) {
      const at = row * frame.width + column
      const light = peak * Math.exp(-((column - x) ** 2) / (2 * width * width))
      frame.pixels[at] = Math.min(0xffff, (frame.pixels[at] ?? 0) + Math.round(light))
    }
  }
}
