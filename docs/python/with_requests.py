"""The same with requests: the links of a run, and the first bytes of each file."""
import os
import sys
import urllib.parse

import requests

API = os.environ["CYGNET_API_URL"].rstrip("/") + "/api/v1"

catalogue = requests.Session()
if "CYGNET_API_TOKEN" in os.environ:
    catalogue.headers["Authorization"] = "Bearer " + os.environ["CYGNET_API_TOKEN"]


def links(tag, run):
    """The files of a run; those of kind "link" have a url that works until expiresAt."""
    answer = catalogue.get("{}/runs/{}/{}/links".format(API, urllib.parse.quote(tag, safe=""), run), timeout=60)
    answer.raise_for_status()
    return answer.json()["files"]


def read(file, start, count):
    """Some bytes of a file of `links`; not by the session, whose token the store would refuse."""
    answer = requests.get(file["url"], headers={"Range": "bytes={}-{}".format(start, start + count - 1)}, timeout=60)
    answer.raise_for_status()
    return answer.content


if __name__ == "__main__":
    for file in links(sys.argv[1], int(sys.argv[2])):
        if file["warning"]:
            print("warning:", file["fileName"], file["warning"], file=sys.stderr)
        print(file["fileName"], file["sizeBytes"], read(file, 0, 16).hex())
