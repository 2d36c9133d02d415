/** Recalls through the catalogue's API. */
import * as z from 'zod'
import type { RunId } from '../../shared/run.ts'
import { askJson } from '../api/answer.ts'
import type { ApiClient } from '../api/client.ts'
import { findRunName, pathOfRun } from '../runs/api-runs.ts'
import { type ShownReplica, shownRun } from '../runs/run-shapes.ts'

const askedSchema = z.object({ files: z.array(z.object({ bucket: z.string(), key: z.string() })) })

export interface AskedRecall {
  readonly run: RunId
  /** How far each file is now. */
  look(signal: AbortSignal): Promise<readonly ShownReplica[]>
}

/**
 * Asks for a run to be brought back.
 * @param wish `days`: how long it is to stay; undefined for what the service is set to.
 * @throws InvalidInputError when there is no such run, several tags have it, the caller may not, or a file of
 * it can be had nowhere.
 */
export async function requestRecall(
  api: ApiClient,
  wish: { readonly runNumber: number; readonly tag: string | undefined; readonly days: number | undefined },
  signal: AbortSignal,
): Promise<AskedRecall> {
  const { runNumber, days } = wish
  const run = await findRunName(api, runNumber, wish.tag, signal)
  const path = pathOfRun(run)
  const body = days === undefined ? {} : { days }
  const asked = await askJson(api, `${path}/recall`, askedSchema, signal, body)
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
}
