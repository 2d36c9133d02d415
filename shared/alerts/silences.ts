/** Silences as Alertmanager has them: matching alerts are recorded, and not sent, until the end. Pure. */
import type { Matcher, Silence } from '../database/alert-schema.ts'
import { InvalidInputError } from '../errors.ts'
import type { Labels } from '../messages/alert-labels.ts'
import { matchesAll } from './matchers.ts'

/** The silences that are active at the time and match the labels; none: the alert is sent. */
export const matchingSilences = <Kept extends Pick<Silence, 'matchers' | 'startsAt' | 'endsAt'>>(
  labels: Labels,
  silences: readonly Kept[],
  at: Date,
): readonly Kept[] =>
  silences.filter(
    ({ matchers, startsAt, endsAt }) => startsAt <= at && at <= endsAt && matchesAll(matchers, labels),
  )

export interface SilenceDraft {
  readonly matchers: readonly Matcher[]
  readonly startsAt: Date
  readonly endsAt: Date
  readonly author: string
  readonly comment: string
}

/** @throws InvalidInputError that names what is wrong. */
export function checkSilence({ matchers, startsAt, endsAt, author, comment }: SilenceDraft, at: Date): void {
  const isUsable = matchers.length > 0 && startsAt < endsAt && endsAt >= at
  if (!isUsable || author.trim() === '' || comment.trim() === '')
    throw new InvalidInputError('a silence needs matchers, an end in the future, an author and a comment')
}
