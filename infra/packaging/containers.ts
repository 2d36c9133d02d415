/**
 * Bundles every function for containers: one file, `dist/containers/<function>.cjs`, that runs in plain Node and
 * answers HTTP, bundled like the AWS packages (custom.esbuild of serverless.yml). infra/docker/Dockerfile puts one
 * into an image.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { type FunctionEntry, readBundling, readManifest } from '../local/manifest.ts'
import { PROJECT } from './osls.ts'

export interface ContainerBundle {
  readonly function: string
  readonly path: string
  readonly bytes: number
}

/**
 * Bundles all functions of the manifest into a folder. @throws the error of esbuild when one cannot be bundled.
 */
export async function buildContainers(
  folder = join(PROJECT, 'dist/containers'),
): Promise<readonly ContainerBundle[]> {
  const { plugins: pluginsPath, ...settings } = readBundling()
  const { default: plugins } = (await import(pathToFileURL(join(PROJECT, pluginsPath)).href)) as {
    default: Plugin[]
  }
  const bundles: ContainerBundle[] = []
  for (const entry of readManifest().functions) {
    const path = join(folder, `${entry.name}.cjs`)
    await build({
      ...settings,
      stdin: {
        contents: entrySource(entry),
        resolveDir: PROJECT,
        sourcefile: `${entry.name}.ts`,
        loader: 'ts',
      },
      absWorkingDir: PROJECT,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      plugins,
      outfile: path,
      logLevel: 'silent',
    })
    bundles.push({ function: entry.name, path, bytes: (await stat(path)).size })
  }
  return bundles
}

/** To a container what `lambda.ts` is to Lambda. */
const entrySource = ({ name, timeoutSeconds, trigger: { kind } }: FunctionEntry): string => `
import './shared/runtime/end-signal.ts'
import { createHandler, needs } from './functions/${name}/handler.ts'
import { runFunction } from './shared/runtime/container.ts'
void runFunction({ name: '${name}', kind: '${kind}', timeoutSeconds: ${timeoutSeconds}, needs, createHandler })
`
