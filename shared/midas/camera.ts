/** Camera frames: the CAM0 bank, one frame of 16-bit pixels, row after row. */
import { InvalidInputError } from '../errors.ts'

export interface CameraShape {
  readonly model: 'ORCA Fusion' | 'ORCA Flash' | 'ORCA Quest' | 'unknown'
  /** Columns, pixels. */
  readonly width: number
  /** Rows, pixels. */
  readonly height: number
  /** Of one frame. */
  readonly sizeBytes: number
}

const BYTES_PER_PIXEL = 2

/** The sensors of the experiment, recognised by the size of their frames. */
const sensors: readonly CameraShape[] = (
  [
    ['ORCA Fusion', 2304, 2304],
    ['ORCA Flash', 2048, 2048],
    ['ORCA Quest', 4096, 2304],
  ] as const
).map(([model, width, height]) => ({ model, width, height, sizeBytes: width * height * BYTES_PER_PIXEL }))

/**
 * The frame behind a CAM0 bank of `sizeBytes`. The bank carries no dimensions: a size that is no known
 * sensor's is taken for a square region of an unknown one.
 * @throws InvalidInputError when the size is no known sensor's and no square of whole 16-bit pixels.
 */
export function cameraShape(sizeBytes: number): CameraShape {
  const known = sensors.find((sensor) => sensor.sizeBytes === sizeBytes)
  if (known !== undefined) return known
  const side = Math.round(Math.sqrt(sizeBytes / BYTES_PER_PIXEL))
  if (side >= 1 && side * side * BYTES_PER_PIXEL === sizeBytes)
    return { model: 'unknown', width: side, height: side, sizeBytes }
  throw new InvalidInputError(
    `camera bank CAM0: ${sizeBytes} bytes are neither a frame of a known sensor nor a square one`,
    { sizeBytes },
  )
}
