/**
 * Lists as NDJSON or CSV, sent as they are read: at any size, with little memory. An incomplete answer is cut
 * off, which clients report as an error.
 */
import { accepts } from 'hono/accepts'
import { csvLine } from '../../../shared/csv.ts'
import type { Logger } from '../../../shared/log.ts'
import type { ApiContext } from './route.ts'

export const FORMATS = ['json', 'ndjson', 'csv'] as const
export type Format = (typeof FORMATS)[number]
export type TableFormat = Exclude<Format, 'json'>

const CONTENT_TYPES: Readonly<Record<TableFormat, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8; header=present',
}

/** The format that the Accept header asks for. Browsers and most clients accept anything: they get JSON. */
export function formatOf(c: ApiContext): Format {
  const supports = [
    'application/json',
    'application/x-ndjson',
    'application/ndjson',
    'application/jsonl',
    'text/csv',
  ]
  const type = accepts(c, { header: 'Accept', supports, default: 'application/json' })
  if (type === 'text/csv') return 'csv'
  return type === 'application/json' ? 'json' : 'ndjson'
}

export type Cell = string | number | boolean | null

export interface Table<Row> {
  /** Of the file, without its ending. */
  readonly name: string
  readonly format: TableFormat
  readonly columns: readonly string[]
  readonly cellsOf: (row: Row) => readonly Cell[]
}

/** The rows as the body of an answer, read as fast as the client receives it; a client that leaves ends it. */
export function tableAnswer<Row>(
  { log }: { readonly log: Logger },
  table: Table<Row>,
  rows: AsyncIterable<readonly Row[]>,
): Response {
  const { name, format } = table
  const texts = textsOf(table, rows)
  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await texts.next().catch((error) => {
        log.error({ error, format }, 'list-cut-off')
        throw error
      })
      if (done === true) controller.close()
      else controller.enqueue(encoder.encode(value))
    },
    async cancel() {
      await texts.return(undefined)
    },
  })
  const headers = { 'content-type': CONTENT_TYPES[format], vary: 'accept', 'cache-control': 'no-store' }
  return new Response(body, {
    headers: { ...headers, 'content-disposition': `attachment; filename="${name}.${format}"` },
  })
}

/** Never an empty text: a stream would be asked again and again within one turn. */
async function* textsOf<Row>(
  { format, columns, cellsOf }: Table<Row>,
  batches: AsyncIterable<readonly Row[]>,
): AsyncGenerator<string> {
  const line = (row: Row) => (format === 'csv' ? csvLine(cellsOf(row)) : `${JSON.stringify(row)}\n`)
  if (format === 'csv') yield csvLine(columns)
  for await (const rows of batches) if (rows.length > 0) yield rows.map(line).join('')
}
