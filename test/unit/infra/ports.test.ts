import { expect, test } from 'vitest'
import { freePort, reservePort } from '../../../infra/local/ports.ts'

test.skipIf(process.platform !== 'linux')(
  'a port that was given out is given to nobody else before anything listens on it',
  async () => {
    const port = await freePort()
    expect(await reservePort(port)).toBe(false)
  },
)
