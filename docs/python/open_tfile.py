"""The same with ROOT itself, which must be built with davix (TDavixFile)."""
import sys

import ROOT

file = ROOT.TFile.Open(sys.argv[1])
if not file or file.IsZombie():
    raise SystemExit("ROOT cannot open the link")
file.ls()
