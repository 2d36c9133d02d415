/** The settings of a stack: its own, overridden by those of the caller's environment. Pure. */
import { concerns } from '../../shared/config/config.ts'
import type { Setting } from '../../shared/config/setting.ts'

type Settings = Readonly<Record<string, string>>

/**
 * Of its own settings, those that may be replaced one by one. The others are the addresses and credentials of the
 * services that the stack starts itself: an address from the environment, often that of the real installation,
 * would receive test runs, or a migration.
 */
const REPLACEABLE: readonly string[] = ['CYGNET_LEASE_SECONDS', 'CYGNET_ROLES', 'CYGNET_S3_SDK_CHECKSUMS']
/** The tape endpoint is replaced as a whole. */
const TAPE = /^CYGNET_(?:TAPE|FTS|RUCIO)_/
/** For the CLI, not for the functions. */
const OF_THE_CLI: readonly string[] = ['CYGNET_API_TOKEN']
const NOT_A_SETTING: readonly string[] = ['CYGNET_FOLDER']
const KNOWN: ReadonlySet<string> = new Set(
  Object.values(concerns).flatMap((settings) =>
    Object.values<Setting>(settings).map(({ variable }) => variable),
  ),
)

export interface StackSettings {
  readonly settings: Settings
  /** Sentences for the person who starts the stack, with names of variables, never values. */
  readonly notes: readonly string[]
}

/** @param environment all variables of the caller. */
export function settingsFrom(
  own: Settings,
  environment: Readonly<Record<string, string | undefined>>,
): StackSettings {
  const given = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('CYGNET_') && entry[1] !== undefined && !NOT_A_SETTING.includes(entry[0]),
  )
  const isUsed = ([name]: readonly [string, string]) => mayReplace(own, settingOf(own, name))
  const isKnown = ([name]: readonly [string, string]) => KNOWN.has(name.replace(/_FILE$/, ''))
  const used = given.filter((entry) => isKnown(entry) && isUsed(entry))
  const replaced = new Set(used.map(([name]) => settingOf(own, name)))
  const replacesTape = [...replaced].some((name) => TAPE.test(name))
  const kept = Object.entries(own).filter(
    ([name]) => !replaced.has(name) && !(replacesTape && TAPE.test(name)),
  )
  const note = (text: string, entries: readonly (readonly [string, string])[]) =>
    entries.length === 0 ? [] : [`${text}: ${entries.map(([name]) => name).join(', ')}`]
  return {
    settings: { ...Object.fromEntries(kept), ...Object.fromEntries(used) },
    notes: [
      ...note('from the environment', used),
      ...note(
        'not taken from the environment, since the stack has its own services',
        given.filter((entry) => isKnown(entry) && !isUsed(entry)),
      ),
      ...note(
        'without effect, since there is no setting of this name',
        given.filter((entry) => !isKnown(entry)),
      ),
    ],
  }
}

const mayReplace = (own: Settings, name: string) =>
  TAPE.test(name) || REPLACEABLE.includes(name) || !(name in own || OF_THE_CLI.includes(name))

/** A setting may also be given as the path of a file with its value: NAME_FILE. */
function settingOf(own: Settings, name: string): string {
  const plain = name.replace(/_FILE$/, '')
  return name in own || !(plain in own || OF_THE_CLI.includes(plain)) ? name : plain
}
