/**
 * The logbook endpoint as a plain script, for comparison: `SELECT *`, all rows in memory, all values as
 * texts. No sign-in and no limits; only the numbers are validated. Prints its port.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPool } from 'mysql2/promise'
import { loadConfig } from '../../shared/config/config.ts'

const pool = createPool({ uri: loadConfig().database.url, connectionLimit: 8, dateStrings: true })

const server = createServer(async (request, response) => {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams
  const tag = query.get('site') === 'man' ? 'MAN' : 'LNGS'
  const run = Number(query.get('run'))
  const [start, end] = [Number(query.get('start')), Number(query.get('end'))]
  const [where, values] =
    run !== 0
      ? [' AND run_number = ?', [run]]
      : start !== 0
        ? [' AND run_number >= ? AND run_number < ?', [start, end]]
        : ['', []]
  const [rows] = await pool.query(`SELECT * FROM Runlog WHERE tag = ?${where}`, [tag, ...values])
  const texts = (rows as Readonly<Record<string, unknown>>[]).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]),
    ),
  )
  response.setHeader('content-type', 'text/html; charset=UTF-8')
  response.end(
    run !== 0
      ? JSON.stringify(texts[0] ?? null)
      : texts.length === 0
        ? ''
        : `[ ${texts.map((row) => JSON.stringify(row)).join(',')} ]`,
  )
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
process.on('SIGTERM', () => process.exit(0))
