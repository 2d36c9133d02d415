/** The DAQ's wall clock: MIDAS writes times like C's `ctime`, in local time and without a zone. */
import { DAQ_TIME_ZONE } from '../../shared/time/daq-time.ts'

const format = new Intl.DateTimeFormat('en-GB', {
  timeZone: DAQ_TIME_ZONE,
  weekday: 'short',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  year: 'numeric',
})

/** Unix seconds as `Mon May  1 18:51:19 2023`, Europe/Rome. */
export function ctime(unixSeconds: number): string {
  const parts = new Map(format.formatToParts(unixSeconds * 1000).map(({ type, value }) => [type, value]))
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? ''
  // British English abbreviates September to four letters, C to three.
  return `${part('weekday')} ${part('month').slice(0, 3)} ${part('day').padStart(2)} ${part('hour')}:${part('minute')}:${part('second')} ${part('year')}`
}
