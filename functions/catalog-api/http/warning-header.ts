/** A warning in a header, for answers whose body is not for people. */

export const WARNING_HEADER = 'x-cygnet-warning'

const LONGEST = 500

/** In ASCII on one line: what may come from a file must neither end the header nor be refused. Pure. */
export const headerText = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?').slice(0, LONGEST)
