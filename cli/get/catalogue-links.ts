/** Links made here, with the credentials of the catalogue and the store. */
import type { TapeContext } from '../../shared/context.ts'
import { whoAsks } from '../who-asks.ts'
import type { LinkSource } from './link-source.ts'

export function createCatalogueLinks(context: TapeContext): LinkSource {
  const { database, config, now } = context
  const linksOf: LinkSource['linksOf'] = async (
    run,
    signal,
    { seconds = config.store.linkSeconds, recall = false } = {},
  ) => {
    const { runLinks } = await import('../../shared/copies/links/run-links.ts')
    const wish = {
      seconds,
      recall: recall ? { days: config.recall.days, requestedBy: whoAsks() } : undefined,
    }
    return (await runLinks(context, run, wish, now(), signal)).files
  }
  return {
    async runsIn({ from, to, tag }) {
      const rows = await database
        .selectFrom('runs')
        .select(['tag', 'runNumber'])
        .where('isCurrent', '=', true)
        .where('runNumber', '>=', from)
        .where('runNumber', '<=', to)
        .$if(tag !== undefined, (query) => query.where('tag', '=', tag as string))
        .orderBy('tag')
        .orderBy('runNumber')
        .execute()
      return rows
    },
    linksOf,
    // Nobody counts the questions here.
    linksOfFirst: async ([first], signal) => [{ ...first, files: await linksOf(first, signal) }],
  }
}
