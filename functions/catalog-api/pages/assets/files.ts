/**
 * The files that browsers load, as text, read once at start-up. Since a bundle contains no other files, this
 * module is evaluated when the bundle is built and replaced by its value (embed.cjs).
 */
import { readFileSync } from 'node:fs'

const own = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

export const FILES: Readonly<Record<string, string>> = {
  'style.css': own('./style.css'),
  'cards.css': own('./cards.css'),
  'page.js': own('./page.js'),
  'live.js': own('./live.js'),
  'runs.js': own('./runs.js'),
}
