"""Holds the licence that each dependency declares against a list of those that MIT or Apache-2.0 software may use.

Reads what cargo already has on disk; exits with 1 when a package has none, or one that is not on the list.
"""

import json
import re
import subprocess
import sys

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met: every part of an AND, one part of an OR (`/` is an old OR)."""
    expression = expression.replace("/", " OR ")
    while match := re.search(r"\(([^()]*)\)", expression):
        inner = "0BSD" if is_allowed(match[1]) else "refused"
        expression = expression[: match.start()] + inner + expression[match.end() :]
    alternatives = expression.split(" OR ")
    return any(all(part.strip() in ALLOWED for part in alternative.split(" AND ")) for alternative in alternatives)


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["packages"]
    refused = [package for package in packages if not is_allowed(package["license"] or "")]
    for package in refused:
        print(f"{package['name']} {package['version']}: licence {package['license']!r} is not on the list in {sys.argv[0]}")
    print(f"{len(packages)} packages, {len(refused)} with a licence to look into")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
