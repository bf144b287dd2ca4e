"""The order of the gallery, which Sphinx takes by the name of a function."""

EXAMPLES = [
    "plot_convergence.py",
    "plot_click_through.py",
    "plot_text.py",
    "plot_lasso_path.py",
    "plot_cross_validation.py",
    "plot_path.py",
    "plot_calibration.py",
    "plot_exposure.py",
    "plot_huber.py",
    "plot_auto.py",
    "plot_family.py",
    "ingest_and_fit.py",
]


def place(name):
    """Sort the gallery as EXAMPLES does, and what is not in it last."""
    return (EXAMPLES.index(name) if name in EXAMPLES else len(EXAMPLES), name)
