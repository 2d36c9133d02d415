/** Recalls written into the catalogue itself. */

import type { StorageContext } from '../../shared/context.ts'
import { requestRecall } from '../../shared/copies/recall/request.ts'
import { replicaView } from '../../shared/queries/run-view.ts'
import { whoAsks } from '../who-asks.ts'
import type { RecallSource } from './recall-source.ts'

export function createCatalogueRecalls(context: StorageContext): RecallSource {
  const { config, database, now } = context
  return {
    async request({ runNumber, tag, days = config.recall.days }, signal) {
      const asked = await requestRecall(
        context,
        { runNumber, tag },
        { days, requestedBy: whoAsks() },
        now(),
        signal,
      )
      const ids = asked.files.map((file) => file.replicaId)
      return {
        run: { tag: asked.run.tag, runNumber },
        async look() {
          const rows = await database.selectFrom('replicas').selectAll().where('id', 'in', ids).execute()
          return ids.flatMap((id) => rows.filter((row) => row.id === id)).map(replicaView)
        },
      }
    },
  }
}
