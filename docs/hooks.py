"""What makes a site of files that are read on a forge, too: pages from the root, and links that leave docs/."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
FENCE = re.compile(r"(?ms)^(```.*?^```)$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the root's pages on the site without a copy in docs/."""
    for name, page in ROOT_PAGES.items():
        file = _root(config) / name
        if file.is_file():
            files.append(File.generated(config, page, content=file.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at pages of the site, and those to other files at the repository; what is not there stays broken."""
    on_root = page.file.src_uri in ROOT_PAGES.values()
    parts = FENCE.split(markdown)
    parts[::2] = [LINK.sub(lambda link: _moved(link, on_root, config), part) for part in parts[::2]]
    return "".join(parts)


def _moved(link: re.Match[str], on_root: bool, config: MkDocsConfig) -> str:
    path = os.path.normpath(link[1] if on_root else f"docs/{link[1]}")
    if path in ROOT_PAGES:
        return f"]({ROOT_PAGES[path]}"
    if path.startswith("docs/"):
        return f"]({path.removeprefix('docs/')}"
    if (_root(config) / path).exists():
        return f"]({config.extra['repository']}/blob/main/{path}"
    return link[0]


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
