/** How the reference looks: the reader's own fonts, light or dark as the reader's system has it. */
export const REFERENCE_STYLE = `:root { color-scheme: light dark; --line: light-dark(#ccd3d9, #3a424a); --soft: light-dark(#f2f4f6, #20262c); }
body { margin: 0 auto; max-width: 70rem; padding: 1rem 1.25rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
  color: light-dark(#16202a, #dde3e8); background: light-dark(#fff, #14191e); }
a { color: light-dark(#0b57a4, #8ec5ff); }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2rem; }
code, pre { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere; }
pre { padding: 0.75rem; overflow: auto; background: var(--soft); border: 1px solid var(--line); border-radius: 4px; max-height: 24rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 0.75rem 0; }
caption { text-align: start; font-weight: 600; }
th, td { text-align: start; vertical-align: top; padding: 0.3rem 0.75rem 0.3rem 0; border-bottom: 1px solid var(--line); font-weight: normal; }
thead th { font-weight: 600; }
nav ul { columns: 22rem; padding-inline-start: 1.2rem; }
summary { cursor: pointer; padding: 0.25rem 0; }
`
