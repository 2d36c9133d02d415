/** A program in a Node of its own, which has nothing of the project. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

/** @returns what it printed. */
export async function runInFreshNode(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { cwd: tmpdir() })
  return stdout.trim()
}
