/** Compares the files at the tape endpoint with the replicas that name them. */
import type { Context } from '../../../context.ts'

export interface TapeEntry {
  readonly name: string
  readonly sizeBytes: number
}

export interface TapePage {
  readonly listed: number
  readonly dark: readonly TapeEntry[]
}

const PAGE = 500

/** A copy is in the catalogue before its first byte is written, so even the youngest file is known. */
export async function* compareTape(
  context: Context<'database'>,
  endpoint: string,
  entries: AsyncIterable<TapeEntry>,
): AsyncGenerator<TapePage> {
  let page: TapeEntry[] = []
  for await (const entry of entries) {
    page.push(entry)
    if (page.length < PAGE) continue
    yield await compare(context, endpoint, page)
    page = []
  }
  yield await compare(context, endpoint, page)
}

async function compare(
  { database }: Context<'database'>,
  endpoint: string,
  entries: readonly TapeEntry[],
): Promise<TapePage> {
  if (entries.length === 0) return { listed: 0, dark: [] }
  const named = await database
    .selectFrom('replicas')
    .select('name')
    .where('kind', '=', 'tape')
    .where('endpoint', '=', endpoint)
    .where(
      'name',
      'in',
      entries.map((entry) => entry.name),
    )
    .execute()
  const known = new Set(named.map((replica) => replica.name))
  return { listed: entries.length, dark: entries.filter((entry) => !known.has(entry.name)) }
}
