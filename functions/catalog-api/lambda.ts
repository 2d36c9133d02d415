/** catalog-api as AWS Lambda runs it. */
import { loadConfig } from '../../shared/config/config.ts'
import { lambdaHttp } from '../../shared/runtime/lambda.ts'
import { createTapeContext } from '../../shared/runtime/open-context.ts'
import { createHandler } from './handler.ts'

const opened = createTapeContext(loadConfig(), 'catalog-api').then((context) =>
  lambdaHttp(createHandler(context)),
)

export const handler: ReturnType<typeof lambdaHttp> = async (event) => (await opened)(event)
