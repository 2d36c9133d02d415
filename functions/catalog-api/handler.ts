/**
 * The catalogue over HTTP, for people and programs: REST, pages, links, sign-in, signatures for uploads, and
 * the endpoints of the old tools.
 */
import type { HttpApp } from '../../shared/runtime/handler.ts'
import { type ContextOf, database, publicS3, queues, s3, tape } from '../../shared/runtime/open-context.ts'
import { createApi } from './app.ts'

export const needs = [database, queues, s3, publicS3, tape]

export const createHandler = (context: ContextOf<typeof needs>): HttpApp => createApi(context).http
