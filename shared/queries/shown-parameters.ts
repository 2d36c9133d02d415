/**
 * The parameters of a run that are shown and searched. Not those in which the ODB says where the run is: they
 * were written when it began, and say for ever that it is nowhere; where it is now is its storage. Pure.
 */

import { type RunlogColumn, runlogColumns } from '../extraction/run-parameters.ts'

/** True for `storage_cloud_status` and the like. */
export const isStorageStatus = (name: string): boolean => /^storage_\w+_status$/i.test(name)

/** In the order of the Runlog. */
export const shownColumns: readonly RunlogColumn[] = runlogColumns.filter(
  ({ name }) => !isStorageStatus(name),
)

export const shownParameters = <T>(parameters: Readonly<Record<string, T>>): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(parameters).filter(([name]) => !isStorageStatus(name)))
