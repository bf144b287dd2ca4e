"""
Text classification
===================

Which library does a sentence of documentation come from? The texts are the docstrings of NumPy,
SciPy and scikit-learn as installed, cut into lines, so nothing has to be fetched. A softmax
regression with the norm of rows (``group="rows"``) keeps or drops a word for all classes at once,
and what it keeps can be read.

``python examples/plot_text.py FILE.png`` writes the picture to a file.
"""

import inspect
import sys

import matplotlib.pyplot as plt
import numpy as np
import scipy.optimize
import scipy.signal
import scipy.stats
import sklearn.cluster
import sklearn.linear_model
import sklearn.model_selection
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from fastsum import FiniteSumClassifier

MODULES = {
    "NumPy": (np, np.linalg, np.random),
    "SciPy": (scipy.stats, scipy.signal, scipy.optimize),
    "scikit-learn": (sklearn.linear_model, sklearn.model_selection, sklearn.cluster),
}


def lines(module):
    """Yield the longer lines of the docstrings of a module's public names."""
    for name in sorted(n for n in dir(module) if not n.startswith("_")):
        text = inspect.getdoc(getattr(module, name)) or ""
        for line in text.splitlines():
            if len(line.split()) >= 6 and not line.lstrip().startswith((">>>", "array", "[")):
                yield line


texts, names = [], []
for name, modules in MODULES.items():
    found = list(dict.fromkeys(line for module in modules for line in lines(module)))[:4000]
    texts += found
    names += [name] * len(found)

# %%
# Words that name a library would be too easy.
vectorizer = TfidfVectorizer(
    min_df=3,
    sublinear_tf=True,
    token_pattern=r"[A-Za-z]{3,}",
    stop_words=["numpy", "scipy", "sklearn", "scikit", "learn"],
)
train_texts, test_texts, y_train, y_test = train_test_split(
    texts, names, test_size=0.25, stratify=names, random_state=0
)
X_train, X_test = vectorizer.fit_transform(train_texts), vectorizer.transform(test_texts)
words = vectorizer.get_feature_names_out()
print(f"{X_train.shape[0]:,} lines, {X_train.shape[1]:,} words")

model = FiniteSumClassifier("multinomial", alpha=2e-4, l1_ratio=1.0, group="rows", tol=1e-3)
model.fit(X_train, y_train)
kept = np.flatnonzero(np.any(model.coef_ != 0, axis=0))
score = model.score(X_test, y_test)
print(f"accuracy {score:.2f} on lines not seen, {len(kept)} words kept")
print(f"certified gap {model.dual_gap_:.1e}")

# %%
# The ten words that speak most for each library.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, name, coef, colour in zip(
    axes, model.classes_, model.coef_, ["C0", "C1", "C2"], strict=True
):
    top = np.argsort(coef)[-10:]
    ax.barh(words[top], coef[top], color=colour)
    ax.set_title(name)
    ax.tick_params(axis="y", labelsize="small")
axes[1].set_xlabel("coefficient")

if len(sys.argv) > 1:
    figure.savefig(sys.argv[1], dpi=110)
else:
    plt.show()
