/** Silences as Alertmanager has them: matching alerts are recorded, and not sent, until the end. Pure. */
import type { Matcher, Silence } from '../database/alert-schema.ts'
import { InvalidInputError } from '../errors.ts'
import type { Labels } from '../messages/alert-labels.ts'
import { checkMatcher, matchesAll, matchesEmpty } from './matchers.ts'

/** Both ends belong to it. */
const isActive = ({ startsAt, endsAt }: Pick<Silence, 'startsAt' | 'endsAt'>, at: Date): boolean =>
  startsAt <= at && at <= endsAt

/** The silences that are active at the time and match the labels; none: the alert is sent. */
export const matchingSilences = <Kept extends Pick<Silence, 'matchers' | 'startsAt' | 'endsAt'>>(
  labels: Labels,
  silences: readonly Kept[],
  at: Date,
): readonly Kept[] =>
  silences.filter((silence) => isActive(silence, at) && matchesAll(silence.matchers, labels))

export interface SilenceDraft {
  readonly matchers: readonly Matcher[]
  readonly startsAt: Date
  readonly endsAt: Date
  readonly author: string
  readonly comment: string
}

/**
 * Checks a silence before it is stored.
 * @throws InvalidInputError that names what is wrong. At least one matcher must need a label: a silence of all alerts
 * is a mistake.
 */
export function checkSilence({ matchers, startsAt, endsAt, author, comment }: SilenceDraft, at: Date): void {
  const refuse = (reason: string) => {
    throw new InvalidInputError(`a silence needs ${reason}`)
  }
  for (const matcher of matchers) checkMatcher(matcher)
  if (matchers.every(matchesEmpty))
    refuse(
      'a matcher that does not match the empty text, such as tag="LNGS": otherwise it silences everything',
    )
  if (Number.isNaN(startsAt.getTime())) refuse('a valid begin')
  if (Number.isNaN(endsAt.getTime())) refuse('an end')
  if (endsAt <= startsAt) refuse('an end after its begin')
  if (endsAt < at) refuse('an end in the future')
  if (author.trim() === '') refuse('an author')
  if (comment.trim() === '') refuse('a comment that says why')
}
