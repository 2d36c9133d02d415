/** Who is asked to bring runs back: the catalogue's API, or the catalogue itself for who has its credentials. */
import { catalogueWay } from '../catalogue-way.ts'
import type { ShownReplica } from '../runs/run-shapes.ts'
import type { RunName } from '../runs/run-source.ts'
import { interruption, withContext } from '../settings.ts'

export interface RecallWish {
  readonly runNumber: number
  readonly tag: string | undefined
  /** How long it is to stay; undefined for what the service is set to. */
  readonly days: number | undefined
}

export interface RecallSource {
  /** @throws InvalidInputError when there is no such run, its tag must be said, who asks may not, or a file of it can be had nowhere. */
  request(wish: RecallWish, signal: AbortSignal): Promise<AskedRecall>
}

export interface AskedRecall {
  readonly run: RunName
  /** How far each file is now. */
  look(signal: AbortSignal): Promise<readonly ShownReplica[]>
}

/** Runs `work` with what the rule of catalogue-way.ts leads to. */
export async function withRecalls(
  api: string | undefined,
  work: (source: RecallSource, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const way = await catalogueWay(api)
  if (way.kind === 'api') {
    const { createApiRecalls } = await import('./api-recalls.ts')
    return await work(createApiRecalls(way.api), interruption())
  }
  const { createCatalogueRecalls } = await import('./catalogue-recalls.ts')
  await withContext((context, signal) => work(createCatalogueRecalls(context), signal))
}
