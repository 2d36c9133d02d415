/** What the OpenAPI document says of numbers that are easily taken for others. */
import { OpenAPIHono } from '@hono/zod-openapi'
import { expect, test } from 'vitest'
import { runItem } from '../../../../functions/catalog-api/api/schemas.ts'

test('MIDAS events are distinguished from triggers', () => {
  const app = new OpenAPIHono()
  app.openAPIRegistry.register('Run', runItem)
  const { components } = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'Runs', version: '1' } })
  const described = JSON.stringify(components?.schemas?.Run)
  expect(/"eventCount":\{[^}]*"description":"([^"]*)"/.exec(described)?.[1]).toMatch(
    /^MIDAS events of all ids.*triggers.*id 1$/,
  )
})
