/** The DAQ's clock: MIDAS writes Italian local time without an offset. */

export const DAQ_TIME_ZONE = 'Europe/Rome'

const localTime = new Intl.DateTimeFormat('sv-SE', {
  timeZone: DAQ_TIME_ZONE,
  dateStyle: 'short',
  timeStyle: 'medium',
})

const OFFSETS_SECONDS = { summer: 7200, winter: 3600 }

/**
 * Unix seconds of a local time `YYYY-MM-DD HH:MM:SS`. In the repeated hour in autumn, it is the first of the
 * two that is not before `notBefore` (Unix seconds): a run never ends before it begins, and a begin of run
 * counts as summer time until its file states it. Null for an invalid local time: `0000-00-00 00:00:00`, or
 * the hour skipped in spring.
 */
export function epochOfDaqTime(local: string, notBefore = 0): number | null {
  const utc = Date.parse(`${local.replace(' ', 'T')}Z`) / 1000
  if (!Number.isInteger(utc) || utc <= 0) return null
  const epochs = [utc - OFFSETS_SECONDS.summer, utc - OFFSETS_SECONDS.winter].filter(
    (epoch) => localTime.format(epoch * 1000) === local,
  )
  return epochs.find((epoch) => epoch >= notBefore) ?? epochs[0] ?? null
}
