/** reconcile as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaSchedule } from '../../shared/runtime/lambda.ts'
import { createStorageContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const context = createStorageContext(loadConfig(), 'reconcile')

export const handler = lambdaSchedule(createHandler(context), context.log)
