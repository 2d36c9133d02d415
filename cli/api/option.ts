/** The option of all commands that ask the catalogue's API. */
import { Option } from 'commander'

export const apiOption = () =>
  new Option('--api <url>', "the catalogue's API to ask (default: CYGNET_API_URL)")

export const API_HELP = `
The catalogue's API is asked: that of --api or CYGNET_API_URL, else that of the local stack that runs, else the one that one is signed
in to: \`cygnet login\`. It is asked with CYGNET_API_TOKEN, else with the sign-in, else with the token that the local stack made for itself.`
