/** watch as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaSchedule } from '../../shared/runtime/lambda.ts'
import { openContext } from '../../shared/runtime/open-context.ts'
import { createHandler, needs } from './handler.ts'

const opened = openContext(loadConfig(), 'watch', needs).then((context) =>
  lambdaSchedule(createHandler(context), context.log),
)

export const handler: ReturnType<typeof lambdaSchedule> = async (event, call) => (await opened)(event, call)
