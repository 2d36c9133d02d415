import { expect, test } from 'vitest'
import { InvalidInputError } from '../../../shared/errors.ts'
import { cameraOf } from '../../../shared/midas/camera.ts'

test.each([
  [10_616_832, 'ORCA Fusion', 2304, 2304],
  [8_388_608, 'ORCA Flash', 2048, 2048],
  [18_874_368, 'ORCA Quest', 4096, 2304],
  [524_288, 'unknown', 512, 512],
  [8192, 'unknown', 64, 64],
  [2, 'unknown', 1, 1],
])('a frame of %i bytes is that of a sensor: %s, %i × %i', (sizeBytes, model, width, height) => {
  expect(cameraOf(1, sizeBytes)).toEqual({ number: 1, model, width, height, sizeBytes })
})

test.each([0, 1, 3, 10, 10_616_833, 10_616_830, -2, 2.5, Number.NaN])(
  '%d bytes are no frame',
  (sizeBytes) => {
    expect(() => cameraOf(0, sizeBytes)).toThrow(InvalidInputError)
  },
)
