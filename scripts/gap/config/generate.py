"""Write schemas/config.schema.yaml and docs/config.md anew from the classes of the config.

Called from anywhere: python scripts/gap/config/generate.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "scripts"))

from gap.config.page import page  # noqa: E402
from gap.config.schema import TAGS, config_schema  # noqa: E402
from gap.study.fields import WRITTEN  # noqa: E402

SCHEMA = ROOT / "schemas" / "config.schema.yaml"
PAGE = ROOT / "docs" / "config.md"

HEAD = """\
# Made by scripts/gap/config/generate.py from the classes in gap.study, gap.config.study and
# gap.models.families. For editors; the workflow itself checks a config by those classes.
"""


def schema_file() -> str:
    """Return the JSON schema (2020-12) of a config, as YAML."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **config_schema()}
    return HEAD + yaml.safe_dump(
        without_tags(schema), sort_keys=False, allow_unicode=True, width=100
    )


def without_tags(part: object) -> object:
    """Return a part of a schema without what is there for messages only."""
    if isinstance(part, dict):
        hidden = (TAGS, "discriminator") if "oneOf" in part else (WRITTEN,)
        return {key: without_tags(value) for key, value in part.items() if key not in hidden}
    return [without_tags(item) for item in part] if isinstance(part, list) else part


def main() -> None:
    """Write both files."""
    SCHEMA.write_text(schema_file(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
