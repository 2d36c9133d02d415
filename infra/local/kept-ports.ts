/**
 * The ports of a stack, stored in its folder, so that bookmarks, CYGNET_API_URL and sign-ins stay valid at the next
 * start.
 */
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { freePort, reservePort } from './ports.ts'
import { writePrivateFile } from './secrets.ts'

const schema = z.record(z.string(), z.int().positive().max(65_535))

export interface KeptPorts {
  /** The port of a service: that of the last start, or another if a different program uses it now. */
  of(name: string): Promise<number>
}

/** @param report is called with a sentence when a port had to change. */
export function keptPorts(path: string, report: (line: string) => void): KeptPorts {
  const ports = new Map(Object.entries(read(path)))
  return {
    async of(name) {
      const last = ports.get(name)
      if (last !== undefined && (await reservePort(last))) return last
      const port = await freePort()
      if (last !== undefined)
        report(`port ${last} of ${name} is used by another program; ${name} now has ${port}`)
      ports.set(name, port)
      writePrivateFile(path, `${JSON.stringify(Object.fromEntries(ports), null, 2)}\n`)
      return port
    },
  }
}

function read(path: string): Readonly<Record<string, number>> {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return {} // the first start
  }
}
