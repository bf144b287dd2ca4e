"""Sphinx configuration. Offline: `sphinx-build -W docs docs/_build/html`.

Not `python -m sphinx`: that has the checkout, without its compiled modules, before the package.
"""

import os
import re
import sys
import warnings
from pathlib import Path

import fastsum

project = "fastsum"
author = "The fastsum developers"
copyright = author
release = version = fastsum.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/**.ipynb", "api/templates"]
default_role = "code"
# Links to folders and pages outside of docs/ become plain text; tests/test_documentation.py holds
# that the target of every link exists.
suppress_warnings = ["myst.xref_missing"]

# Links to other projects need the network, and a build without it ends in warnings.
if os.environ.get("FASTSUM_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

# --- pages ----------------------------------------------------------------------------------------
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_allow_labels = True

# --- API reference --------------------------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"  # types stand in the docstrings, with shapes
autodoc_member_order = "bysource"
templates_path = ["api/templates"]
numpydoc_show_class_members = False  # the template lists the methods
numpydoc_class_members_toctree = False

# --- gallery --------------------------------------------------------------------------------------
sys.path.insert(0, str(Path(__file__).parent))  # of gallery_order
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/\w+\.py$",
    "within_subsection_order": "gallery_order.place",
    "abort_on_example_error": True,
    "backreferences_dir": None,
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    "thumbnail_size": (400, 280),
    "image_srcset": [],
    "remove_config_comments": True,
}
# plt.show() in a build shows nothing, and says so
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

# --- look -----------------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "fastsum"
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}


def escape_plain_text(app, what, name, obj, options, lines):
    """Keep |w| and coef_ of docstrings as they stand; reST would take both for references.

    Runs after numpydoc, so that its sections are already reST.
    """
    for k, line in enumerate(lines):
        # what scikit-learn's own docstrings refer to is in its documentation
        line = lines[k] = re.sub(r":(?:term|ref):`~?([^`<]*?) *(?:<[^>]*>)?`", r"``\1``", line)
        if line.lstrip().startswith((">>>", "...", "..", ":")):
            continue
        pieces = re.split(r"(`[^`]*`+)", line)  # literals stay
        pieces[::2] = [
            re.sub(r"(?<![\w\\])(\w*[A-Za-z0-9])_(?!\w)", r"\1\\_", part).replace("|", r"\|")
            for part in pieces[::2]
        ]
        lines[k] = "".join(pieces)


def setup(app):
    app.connect("autodoc-process-docstring", escape_plain_text, priority=900)
