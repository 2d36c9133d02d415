/** Packages of PyPI for tests, each in a private virtual environment. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '../../infra/local/environment.ts'
import { findProgram } from '../../infra/local/programs.ts'
import { InvalidInputError } from '../../shared/errors.ts'

const LONGEST_INSTALLATION_MS = 15 * 60 * 1000

/**
 * The folder with the programs of an environment that has the package, which is made if missing (minutes, once per
 * user).
 * @throws InvalidInputError without python3.
 */
export async function ensurePythonPackage(name: string, version: string): Promise<string> {
  const folder = join(cacheFolder(), `${name}-${version}`)
  const programs = join(folder, 'bin')
  if (existsSync(join(folder, 'complete'))) return programs
  const python = await findProgram('python3')
  if (python === null)
    throw new InvalidInputError(`${name} needs python3 with its venv module: apt-get install python3-venv`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const options = { timeout: LONGEST_INSTALLATION_MS }
  await promisify(execFile)(python, ['-m', 'venv', folder], options)
  await promisify(execFile)(
    join(programs, 'python'),
    ['-m', 'pip', 'install', '--quiet', `${name}==${version}`],
    options,
  )
  writeFileSync(join(folder, 'complete'), '')
  return programs
}
