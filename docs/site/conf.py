# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx, which build.py runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))

project = f"{GALAXY['namespace']}.{GALAXY['name']}"
version = release = GALAXY["version"]
author = copyright = ", ".join(GALAXY["authors"])

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# Links to headings are as on GitHub, where the guides are read too.
myst_heading_anchors = 3
highlight_language = "text"

html_theme = "sphinx_ansible_theme"
html_short_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
# The site is all there is: no tracking, no advertising, nothing from other servers.
html_theme_options = {
    "topbar_links": {},
    "show_extranav": False,
    "show_rtd_ethical_ads": False,
    "titles_only": True,
}

# Where Ansible's own documentation has what antsibull-docs refers to. Intersphinx would ask the network.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
ANSIBLES_PAGES = {
    r"ansible_configuration_settings": "reference_appendices/config.html",
    r"callback_plugins": "plugins/callback.html",
    r"common_return_values": "reference_appendices/common_return_values.html",
    r"(ANSIBLE_[A-Z_]+)": r"reference_appendices/config.html#envvar-\1",
    r"ansible_collections\.ansible\.builtin\.(\w+)": r"collections/ansible/builtin/\1.html",
}


def lead_to_ansible(
    _app: Sphinx, _env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Resolve a reference to Ansible's own documentation; None for any other, which is then a warning."""
    for pattern, page in ANSIBLES_PAGES.items():
        if match := re.fullmatch(pattern, node["reftarget"]):
            text = content.astext().replace("_", " ") if node["reftype"] == "ref" else content.astext()
            return nodes.reference("", text, internal=False, refuri=ANSIBLE + match.expand(page))
    return None


def lead_to_repository(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Turn a guide's links to files outside of docs, which the site does not have, into links to the repository."""

    def leading(match: re.Match[str]) -> str:
        if not (ROOT / "docs" / match[1]).exists():
            logging.getLogger(__name__).warning("no such file: %s", match[1], location=docname)
        path = os.path.normpath(f"docs/{match[1]}")
        return f"]({GALAXY['repository']}/blob/main/{path}{match[2]})"

    content[0] = re.sub(r"\]\((\.\./[^)#]+)(#[^)]*)?\)", leading, content[0])


def shorten_navigation(_app: Sphinx, env: BuildEnvironment) -> None:
    """Leave a plugin's or role's name and kind in the navigation, such as "sysctl module", not its description."""
    for page, contents in env.tocs.items():
        if page.startswith("reference/") and (title := contents.next_node(nodes.reference)):
            name, _dash, _description = title.astext().partition(" \N{EN DASH} ")
            title.children = [nodes.Text(name.removeprefix(f"{project}."))]


def lead_home(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: nodes.document) -> None:
    """Have the theme's title bar lead to the first page, wherever the site is."""
    context["theme_documentation_home_url"] = context["pathto"](app.config.root_doc)


def setup(app: Sphinx) -> None:
    """Connect the above. Called by Sphinx."""
    app.connect("missing-reference", lead_to_ansible)
    app.connect("source-read", lead_to_repository)
    app.connect("env-updated", shorten_navigation)
    app.connect("html-page-context", lead_home)
