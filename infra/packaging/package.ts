/**
 * `npm run package`: makes the AWS package of every function, in `.serverless/`, and imports each in plain Node as a
 * test; and makes the bundles for containers, in `dist/containers/`. Needs no account, credentials or network.
 */
import { CygnetError } from '../../shared/errors.ts'
import { importBundle, withBundles } from './bundles.ts'
import { buildContainers } from './containers.ts'
import { runOsls } from './osls.ts'

const kilobytes = (bytes: number) => `${Math.round(bytes / 1000)} kB`.padStart(9)

async function main(): Promise<void> {
  await runOsls()
  console.log('packages of all functions: .serverless/*.zip')
  await withBundles(async (bundles) => {
    console.log(`${'function'.padEnd(24)}${'zip'.padStart(9)}${'bundle'.padStart(9)}${'import'.padStart(9)}`)
    for (const bundle of bundles) {
      const ms = await importBundle(bundle)
      const sizes = kilobytes(bundle.zipBytes) + kilobytes(bundle.bundleBytes)
      console.log(`${bundle.function.padEnd(24)}${sizes}${`${Math.round(ms)} ms`.padStart(9)}`)
    }
  })
  const containers = await buildContainers()
  console.log(`for containers: dist/containers/*.cjs, ${containers.length} functions`)
}

try {
  await main()
} catch (error) {
  console.error(error instanceof CygnetError ? error.message : error)
  process.exitCode = 1
}
