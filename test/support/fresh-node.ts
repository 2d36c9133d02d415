/** Runs a program in a separate Node process, which has only what is bundled for it. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { temporaryFolder } from '../../infra/local/testing.ts'

/** @returns the program's output. */
export async function runInFreshNode(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { cwd: tmpdir() })
  return stdout.trim()
}

/** Bundles a module of pages/assets as the package does. @returns the path, to be required. */
export async function bundleOfAssets(name: string): Promise<string> {
  const assets = new URL('../../functions/catalog-api/pages/assets/', import.meta.url)
  const plugins = await import(new URL('embed.cjs', assets).href)
  const outfile = join(temporaryFolder(), 'bundle.cjs')
  await build({
    entryPoints: [new URL(name, assets).pathname],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile,
    plugins: plugins.default,
    logLevel: 'silent',
  })
  return outfile
}
