/**
 * The files that browsers load, as text, read once at start-up. Since a bundle contains no other files, this
 * module is evaluated when the bundle is built and replaced by its value (embed.cjs).
 */
import { readFileSync } from 'node:fs'

const own = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

/** Without comments and indentation, which browsers do not need. */
const style = (name: string) =>
  own(name)
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/\n\s*/g, '\n')

export const FILES: Readonly<Record<string, string>> = {
  'style.css': style('./style.css'),
  'cards.css': style('./cards.css'),
  'frame.css': style('./frame.css'),
  'runs.css': style('./runs.css'),
  'favicon.svg': own('./favicon.svg'),
  'reference.css': style('./reference.css'),
  'page.js': own('./page.js'),
  'live.js': own('./live.js'),
  'runs.js': own('./runs.js'),
}
