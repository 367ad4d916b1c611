"""Makes the list of parts the same on every machine, and adds ONNX Runtime and the models, which cargo does not know.

python3 scripts/package/sbom.py LIST ROOT LIBRARY > sbom.cdx.json
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path


def main(listed: Path, root: Path, library: Path) -> None:
    sbom = json.loads(without_folder(listed.read_text(encoding="utf-8"), root.resolve()))
    sbom.pop("serialNumber", None)
    sbom["components"] += [onnxruntime(root, library), *(model(folder) for folder in packaged_models(root))]
    json.dump(sbom, sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    print()


def without_folder(listed: str, root: Path) -> str:
    """The list as it is in `/ressort`. Cargo leaves out the name of a package whose folder has the same name."""
    return re.sub(
        r"file:///ressort#(?=\d)", "file:///ressort#ressort@", listed.replace(root.as_uri(), "file:///ressort")
    )


def packaged_models(root: Path) -> list[Path]:
    """The models that are committed, as in the packages; a user's own models and jobs lie in the same folder."""
    listed = subprocess.run(
        ["git", "ls-files", "models/*/model.onnx"], cwd=root, capture_output=True, text=True, check=True
    )
    return sorted(root / Path(line).parent for line in listed.stdout.splitlines())


def onnxruntime(root: Path, library: Path) -> dict[str, object]:
    script = (root / "scripts/onnxruntime.sh").read_text(encoding="utf-8")
    pinned = re.search(r"^cpu_version=(.+)$", script, re.MULTILINE)
    version = pinned[1] if pinned else "unknown"
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/onnxruntime@{version}",
        "name": "onnxruntime",
        "version": version,
        "purl": f"pkg:pypi/onnxruntime@{version}",
        "licenses": [{"expression": "MIT"}],
        "hashes": [sha256(library)],
    }


def model(folder: Path) -> dict[str, object]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{folder.name}",
        "name": folder.name,
        "hashes": [sha256(folder / "model.onnx")],
    }


def sha256(file: Path) -> dict[str, str]:
    return {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
