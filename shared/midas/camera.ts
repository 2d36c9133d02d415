/**
 * Camera frames: banks CAM0 to CAM9, one per camera, each with one frame of 16-bit pixels, row after row.
 * Current detectors have only camera 0, the next ones several.
 */
import { InvalidInputError } from '../errors.ts'

interface CameraShape {
  readonly model: 'ORCA Fusion' | 'ORCA Flash' | 'ORCA Quest' | 'unknown'
  /** Columns, pixels. */
  readonly width: number
  /** Rows, pixels. */
  readonly height: number
  /** Size of one frame. */
  readonly sizeBytes: number
}

/** A camera of a run. */
export interface Camera extends CameraShape {
  /** The number of its bank: 0 for CAM0. */
  readonly number: number
}

const BYTES_PER_PIXEL = 2

/** The sensors of the experiment, identified by the size of their frames. */
const sensors: readonly CameraShape[] = (
  [
    ['ORCA Fusion', 2304, 2304],
    ['ORCA Flash', 2048, 2048],
    ['ORCA Quest', 4096, 2304],
  ] as const
).map(([model, width, height]) => ({ model, width, height, sizeBytes: width * height * BYTES_PER_PIXEL }))

/**
 * The camera of a bank CAM<number> of `sizeBytes`. The bank has no dimensions: an unknown size is assumed to
 * be a square region of an unknown sensor.
 * @throws InvalidInputError when the size is neither that of a known sensor nor a square of 16-bit pixels.
 */
export function cameraOf(number: number, sizeBytes: number): Camera {
  const known = sensors.find((sensor) => sensor.sizeBytes === sizeBytes)
  if (known !== undefined) return { number, ...known }
  const side = Math.round(Math.sqrt(sizeBytes / BYTES_PER_PIXEL))
  if (side >= 1 && side * side * BYTES_PER_PIXEL === sizeBytes)
    return { number, model: 'unknown', width: side, height: side, sizeBytes }
  throw new InvalidInputError(
    `camera bank CAM${number}: ${sizeBytes} bytes are neither a frame of a known sensor nor a square one`,
    { sizeBytes },
  )
}
