/**
 * docs/python.md: the use of the catalogue from Python and ROOT, for analysts. Its programs are the files in
 * docs/python, which tests run.
 */

/** @param fileNamed the text of a file in docs/python. */
export function pythonPage(fileNamed: (name: string) => string): string {
  const shown = (name: string) =>
    `[docs/python/${name}](python/${name}):\n\n\`\`\`python\n${fileNamed(name).trimEnd()}\n\`\`\``
  return `# From Python and ROOT

Generated from docs/python by \`npm run generate\`; the tests run these files.

Two variables name the catalogue and the token. Make a token on the page Tokens (your name in the header), or with \`cygnet login\` and \`cygnet token create --personal --name notebook --scope read:LNGS link:LNGS\`; public data
need no token.

\`\`\`sh
export CYGNET_API_URL=https://cygnet.example.org
export CYGNET_API_TOKEN=cyg_…
\`\`\`

## Find runs, get links, fetch files

No package is needed. The API's own page lists all filters: parameters of a run, times, completeness, the states of the copies.

${shown('catalogue.py')}

\`python3 catalogue.py LNGS 12345\` fetches a run. For many or large files use \`cygnet get --range 12000..12100 --tag LNGS\`, which resumes
after an interruption, and fetches several pieces of a file at once.

${shown('with_requests.py')}

Anyone who has a link can fetch the file until the link expires: keep it out of shared notebooks. Send no other credentials with it: a store
refuses a link with an Authorization header.

## Runs as a table of pandas

${shown('runs_table.py')}

The library of the experiment, \`cygno.read_cygno_logbook\`, works as before: the address of its logbook leads here
(\`/cygno_sql_query.php\`), and so do the addresses of run files that it builds (\`/v1/AUTH_…/cygno-data/LNGS/run12345.mid.gz\`). Since it sends
no token, it can read only public data (\`CYGNET_ANONYMOUS_SCOPES=read:*,link:*\`).

Not offered: addresses of \`histograms_Run12345.root\`, listings of the buckets, and the tables \`tmpTable\`, \`tmpTableHist\` and \`gm_data\` of
the logbook (docs/adr/0023-what-the-old-tools-get.md has the reasons, and what serves instead).

## ROOT files

Raw runs are MIDAS files: fetch them completely. ROOT files can be read in place, through any link to them:

${shown('open_root.py')}

With ROOT itself, in C++ \`TFile::Open(link)\`, in Python:

${shown('open_tfile.py')}

Both read in ranges; the link must be valid as long as the file is read.
`
}
