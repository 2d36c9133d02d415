"""Runs as a table of pandas, with every parameter of the run as a column `param.NAME`."""
import os
import sys

import pandas as pd

API = os.environ["CYGNET_API_URL"].rstrip("/") + "/api/v1"
TOKEN = os.environ.get("CYGNET_API_TOKEN")


def runs_table(query):
    """All runs that fit: runs_table("tag=LNGS&from=12000&to=12100&param.exposure_sec=0.3")."""
    headers = {} if TOKEN is None else {"Authorization": "Bearer " + TOKEN}
    times = ["startedAt", "stoppedAt"]
    return pd.read_csv(API + "/runs?format=csv&" + query, storage_options=headers, parse_dates=times)


if __name__ == "__main__":
    table = runs_table(sys.argv[1])
    print(table[["tag", "runNumber", "startedAt", "eventCount", "param.exposure_sec"]].to_string(index=False))
