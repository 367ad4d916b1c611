#!/usr/bin/env python3
"""Stands in for cargo when maturin makes the wheel, so that every package has the same program.

`rustc` gives the program that is built already. All other calls go to cargo.

    CARGO=scripts/package/prebuilt.py RESSORT_PROGRAM=FILE maturin build
"""

import json
import os
import subprocess
import sys

arguments = sys.argv[1:]
if arguments[:1] != ["rustc"]:
    os.execvp("cargo", ["cargo", *arguments])
program = os.environ["RESSORT_PROGRAM"]
manifest = arguments[arguments.index("--manifest-path") + 1]
metadata = subprocess.run(
    ["cargo", "metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest],
    check=True,
    stdout=subprocess.PIPE,
)
(package,) = json.loads(metadata.stdout)["packages"]
(target,) = [target for target in package["targets"] if "bin" in target["kind"]]
profile = {"opt_level": "3", "debug_assertions": False, "overflow_checks": False, "test": False, "debuginfo": 0}
artifact = {
    "reason": "compiler-artifact",
    "package_id": package["id"],
    "manifest_path": package["manifest_path"],
    "target": target,
    "profile": profile,
    "features": [],
    "filenames": [program],
    "executable": program,
    "fresh": True,
}
for message in (artifact, {"reason": "build-finished", "success": True}):
    print(json.dumps(message))
