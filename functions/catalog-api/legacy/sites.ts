/** Which tag a site of the old tools is: what used to be a database of its own. */
import { InvalidInputError } from '../../../shared/errors.ts'
import { isTag } from '../../../shared/run.ts'

/** Gives the tag of what a request calls its site; of any other name, and of none, that of the empty name. */
export type SiteTag = (site: string | null) => string

/**
 * @param setting `lnf=LNF,LNF=LNF,=LNGS`: only these very letters, any other name means the empty one.
 * @throws InvalidInputError for a text of another form, or without the empty name.
 */
export function parseSites(setting: string): SiteTag {
  const pairs = setting.split(',').map((pair) => pair.split('=').map((part) => part.trim()))
  const wrong = pairs.find(([, tag = '', ...more]) => !isTag(tag) || more.length > 0)
  if (wrong !== undefined)
    throw new InvalidInputError(`CYGNET_LEGACY_SITES: "${wrong.join('=')}" is not NAME=TAG`)
  const tags = new Map(pairs.map(([name = '', tag = '']) => [name, tag]))
  const other = tags.get('')
  if (other === undefined)
    throw new InvalidInputError('CYGNET_LEGACY_SITES: the tag of any other site is missing, e.g. =LNGS')
  return (site) => tags.get(site ?? '') ?? other
}
