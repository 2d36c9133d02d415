"""The catalogue from Python, with the standard library alone: find runs, get links, fetch files."""
import hashlib
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

API = os.environ["CYGNET_API_URL"].rstrip("/") + "/api/v1"


def ask(path, **query):
    """The answer of the API, as JSON. CYGNET_API_TOKEN identifies the caller where that is needed."""
    request = urllib.request.Request(API + path + "?" + urllib.parse.urlencode(query, doseq=True))
    if "CYGNET_API_TOKEN" in os.environ:
        request.add_header("Authorization", "Bearer " + os.environ["CYGNET_API_TOKEN"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        # The API states in a sentence what is wrong; a proxy in between does not.
        if error.headers.get_content_type() != "application/problem+json":
            raise
        raise RuntimeError(json.load(error)["detail"]) from None


def runs(**query):
    """All runs that fit: runs(tag="LNGS", since="2024-03-01", pedestal="false"). Pages are followed to the end."""
    cursor = {}
    while True:
        page = ask("/runs", **query, **cursor)
        yield from page["runs"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}


def links(tag, run):
    """The files of a run; those of kind "link" have a url that works until expiresAt, the others state why they have none."""
    return ask("/runs/{}/{}/links".format(urllib.parse.quote(tag, safe=""), run))["files"]


def fetch(file, folder="."):
    """Fetches a file of `links`, compared with the catalogue. For large files use `cygnet get`: it resumes."""
    if file["kind"] != "link":
        raise RuntimeError("{}: {}".format(file["fileName"], file.get("how") or file.get("why") or "it is being recalled from tape"))
    path = os.path.join(folder, os.path.basename(file["fileName"]))
    md5 = hashlib.md5()
    with urllib.request.urlopen(file["url"], timeout=60) as answer, open(path + ".part", "wb") as out:
        for chunk in iter(lambda: answer.read(1 << 20), b""):
            md5.update(chunk)
            out.write(chunk)
    if md5.hexdigest() != file["md5"]:
        raise RuntimeError(path + ".part is not what the catalogue has: fetch it again")
    os.replace(path + ".part", path)
    return path


if __name__ == "__main__":
    tag, number = sys.argv[1], int(sys.argv[2])
    for run in runs(tag=tag, **{"from": number, "to": number}):
        print(run["tag"], run["runNumber"], run["startedAt"], run["eventCount"], "MIDAS events")
    for file in links(tag, number):
        if file["warning"]:
            print("warning:", file["fileName"], file["warning"], file=sys.stderr)
        print(fetch(file))
