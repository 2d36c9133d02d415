/** Alerts about the objects of a whole tag. */
import { alertRequest } from '../catalogue/next-steps.ts'
import type { AlertRule, SeverityOf } from '../messages/alert-rules.ts'
import { isTag } from '../run.ts'
import { cutText } from '../text.ts'
import type { Request } from '../work/outbox.ts'

/** Longest part of a tag in the name of an alert, characters. */
const LONGEST = 180

/** @param tag '' for objects without a tag. @param episode is alerted once. */
export const tagAlert = <Rule extends AlertRule>(
  rule: Rule,
  severity: SeverityOf<Rule>,
  tag: string,
  episode: string,
  summary: string,
): Request =>
  alertRequest({
    rule,
    severity,
    summary,
    tag: isTag(tag) ? tag : null,
    runNumber: null,
    runId: null,
    object: null,
    occurrence: `${cutText(tag, LONGEST)}:${episode}`,
  })

export const named = (tag: string): string => (tag === '' ? 'no tag' : tag)
