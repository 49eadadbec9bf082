"""`record_commit.py COMMIT`: write down from which commit the installed package was built, as PEP 610 has it.

pip writes the same file for `pip install git+https://…`, so whoever asks for the commit needs to know one place alone.
"""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path


def record_commit(commit: str, package: str = "itrp") -> Path:
    """Replace what pip knows of the package's origin. Returns the file."""
    metadata = next(file for file in distribution(package).files or [] if file.name == "METADATA")
    origin = Path(str(metadata.locate())).with_name("direct_url.json")
    found = {"url": "file:///source", "vcs_info": {"vcs": "git", "commit_id": commit}}
    origin.write_text(json.dumps(found))
    return origin


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1]:
        record_commit(sys.argv[1])
