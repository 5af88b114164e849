"""How good is a detector? One protocol, several truths, and measures that no threshold chosen afterwards can flatter.

``benchmark.compare`` is the entry; ``docs/benchmark.md`` says how another detector joins. numpy alone, matplotlib for the plot.
"""
