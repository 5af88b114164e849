"""Feature selection: which features say something about the next seconds that the others do not, judged on the past alone.

``report.select_features`` is the entry. Offline work: scikit-learn, scipy and matplotlib are in the training group and are
imported where they are used, so that a job which imports ``features`` never needs them.
"""
