#!/usr/bin/env python3
"""Links between the documents of the repository lead somewhere.

    python3 tests/docs/check_links.py [ROOT]      exit 0 where all do, 1 otherwise
"""
import re
import sys
from pathlib import Path

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
CODE = re.compile(r"```.*?```", re.DOTALL)


def main(argv):
    root = Path(argv[1] if len(argv) > 1 else ".").resolve()
    pages = [p for p in sorted(root.rglob("*.md")) if not {"build", ".git"} & set(p.relative_to(root).parts)]
    links = broken = 0
    for page in pages:
        for link in LINK.findall(CODE.sub("", page.read_text())):
            if "://" in link:
                continue
            links += 1
            if not (page.parent / link).exists():
                broken += 1
                print(f"{page.relative_to(root)}: link to '{link}', which is not there")
    print(f"links: {len(pages)} pages, {links} links, {broken} broken")
    return 1 if broken or links == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
