"""A ROOT file by a presigned link with uproot: only what is read comes over the network."""
import sys

import uproot


def open_root(link):
    """`link` is the url of a file of `links`."""
    # As a key of a dict: uproot would take what follows a colon in a text for the name of a tree.
    return uproot.open({link: None}, handler=uproot.source.http.HTTPSource)


if __name__ == "__main__":
    with open_root(sys.argv[1]) as file:
        for name, kind in file.classnames().items():
            print(name, kind)
        if len(sys.argv) > 2:
            print(file[sys.argv[2]].arrays(library="np"))
