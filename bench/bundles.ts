/** Size and cold import of every function's bundle. Packages them first. */
import { type Bundle, importBundle, withBundles } from '../infra/packaging/bundles.ts'
import { runOsls } from '../infra/packaging/osls.ts'
import { median } from './median.ts'

export interface BundleFigures {
  readonly function: string
  readonly zipBytes: number
  readonly bundleBytes: number
  /** Medians over new processes, milliseconds from the first line of the bundle to the ready handler. */
  readonly coldImportMs: number
}

/** Target for a cold import, milliseconds. */
export const COLD_IMPORT_TARGET_MS = 200

/** Packages the functions and imports each bundle in `processes` new processes, one after the other. */
export async function measureBundles(processes = 11): Promise<readonly BundleFigures[]> {
  await runOsls()
  return await withBundles(async (bundles) => {
    const figures: BundleFigures[] = []
    for (const bundle of bundles) figures.push(await measure(bundle, processes))
    return figures
  })
}

async function measure(bundle: Bundle, processes: number): Promise<BundleFigures> {
  const times: number[] = []
  for (let process = 0; process < processes; process++) times.push(await importBundle(bundle))
  const { function: name, zipBytes, bundleBytes } = bundle
  return { function: name, zipBytes, bundleBytes, coldImportMs: median(times) }
}
