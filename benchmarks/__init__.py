"""One benchmark per claim; each prints JSON last. Figures are ratios taken in one run, with the load printed."""
