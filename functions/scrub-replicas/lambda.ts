/** scrub-replicas as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaSchedule } from '../../shared/runtime/lambda.ts'
import { createTapeContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const opened = createTapeContext(loadConfig(), 'scrub-replicas').then((context) =>
  lambdaSchedule(createHandler(context), context.log),
)

export const handler: ReturnType<typeof lambdaSchedule> = async (event, call) => (await opened)(event, call)
