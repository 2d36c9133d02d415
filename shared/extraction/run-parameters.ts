/** The run parameters of the legacy Runlog and the ODB paths they come from. */

/** A Runlog column's value as it is stored: numbers, text (DATETIME as `YYYY-MM-DD HH:MM:SS` local time), booleans as 1 and 0, null when absent. */
export type RunParameter = number | string | null
export type RunParameters = Readonly<Record<string, RunParameter>>
