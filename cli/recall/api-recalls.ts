/** Recalls through the catalogue's API. */
import * as z from 'zod'
import { askJson } from '../api/answer.ts'
import type { ApiClient } from '../api/client.ts'
import { findRunName } from '../runs/api-runs.ts'
import { shownRun } from '../runs/run-shapes.ts'
import type { RecallSource } from './recall-source.ts'

const askedSchema = z.object({ files: z.array(z.object({ bucket: z.string(), key: z.string() })) })

export function createApiRecalls(api: ApiClient): RecallSource {
  return {
    async request({ runNumber, tag, days }, signal) {
      const run = await findRunName(api, runNumber, tag, signal)
      const path = `/api/v1/runs/${encodeURIComponent(run.tag)}/${runNumber}`
      const asked = await askJson(
        api,
        `${path}/recall`,
        askedSchema,
        signal,
        days === undefined ? {} : { days },
      )
      return {
        run,
        async look(during) {
          const { files, replicas } = await askJson(api, path, shownRun, during)
          return asked.files.flatMap(({ bucket, key }) => {
            const file = files.find((each) => each.live && each.bucket === bucket && each.key === key)
            return replicas.filter(
              (copy) =>
                copy.kind === 'recall' &&
                copy.bucket === bucket &&
                copy.key === key &&
                copy.sha256 === file?.sha256,
            )
          })
        },
      }
    },
  }
}
