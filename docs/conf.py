"""Settings of Sphinx: ``sphinx-build -W docs docs/_build``."""

from nphash import __version__

project = "nphash"
author = "The nphash authors"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "py:obj"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the signatures' sources and, in words, in the docstrings
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# Types in docstrings are prose, "ndarray of shape (n,)", whose words are no references.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"nphash {version}"
html_show_sphinx = False
