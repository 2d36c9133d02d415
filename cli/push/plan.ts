/** Chooses the key of each file, and refuses files that cannot be sent. */
import { basename, resolve } from 'node:path'
import { isTag, parseRunKey, TAG_RULE } from '../../shared/run.ts'
import { cutText, isWellFormed, quoted } from '../../shared/text.ts'

export type PlannedFile =
  | { readonly file: string; readonly key: string; readonly refusal: null }
  | { readonly file: string; readonly key: string | null; readonly refusal: string }

/** The keys are `<tag>/<file name>`, or the given key for one file. */
export type Place = { readonly tag: string } | { readonly key: string }

const LONGEST_KEY_BYTES = 1024

/** For each file, in the given order, its key, or a sentence why it is refused. */
export function planFiles(files: readonly string[], place: Place, anyName: boolean): readonly PlannedFile[] {
  const planned = files.map((file) => planFile(file, place, anyName))
  return planned.map((item, index) =>
    item.refusal === null ? { ...item, ...unlessTwice(planned, index, item.key) } : item,
  )
}

function planFile(file: string, place: Place, anyName: boolean): PlannedFile {
  const key = 'key' in place ? place.key : `${place.tag}/${basename(file)}`
  const refusal = keyProblem(key, anyName)
  return refusal === null ? { file, key, refusal } : { file, key: null, refusal }
}

/**
 * Null when the key is that of a run, or with `anyName` one that every store keeps unchanged. Else a sentence.
 */
function keyProblem(key: string, anyName: boolean): string | null {
  const slash = key.lastIndexOf('/')
  const [tag, name] = [key.slice(0, Math.max(slash, 0)), key.slice(slash + 1)]
  if (Buffer.byteLength(key) > LONGEST_KEY_BYTES)
    return `the key ${cutText(key, 40)}… is longer than ${LONGEST_KEY_BYTES} bytes`
  const isUnsafe = key.split('/').some((part) => ['', '.', '..'].includes(part))
  if (isUnsafe || /\p{Cc}/u.test(key) || !isWellFormed(key))
    return `${quoted(key)} is not a valid key: it must not have empty, . or .. segments or control characters`
  if (anyName || parseRunKey(key) !== null) return null
  if (slash >= 0 && !isTag(tag))
    return `${quoted(key)} is not the key of a run: ${TAG_RULE}; --any-name sends it anyway`
  return `"${slash < 0 ? key : name}" ${slash < 0 ? 'has no tag before it (LNGS/run12345.mid.gz)' : 'is not the name of a run file (run12345.mid, .mid.gz, .mid.lz4 or .mid.bz2)'}; --any-name sends it anyway`
}

/** Refuses different files with the same key, since any of them may be the run, and repeated files. */
function unlessTwice(
  planned: readonly PlannedFile[],
  index: number,
  key: string,
): { readonly key: string; readonly refusal: null } | { readonly key: string; readonly refusal: string } {
  const same = planned.flatMap((item, position) =>
    item.key === key && position !== index ? [{ file: item.file, position }] : [],
  )
  const path = resolve(planned[index]?.file ?? '')
  const other = same.find(({ file }) => resolve(file) !== path)
  if (other !== undefined)
    return {
      key,
      refusal: `${other.file} has the same key ${key}: push one of them, or with another --tag or --key`,
    }
  if (same.some(({ position }) => position < index)) return { key, refusal: 'this file is given twice' }
  return { key, refusal: null }
}
