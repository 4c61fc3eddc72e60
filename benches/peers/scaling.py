"""Draws how the time of a fit grows.

usage: scaling.py SCALING.csv SCALING.svg; the CSV is that of `cargo bench -p topgraft-core --bench scaling`.
"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "scaling", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt

PANELS = [("n", "samples n"), ("d", "features d"), ("classes", "classes C")]
# Okabe and Ito's blue and vermilion, told apart by their markers too.
BLUE, VERMILION = "#0072B2", "#D55E00"


def main():
    rows = list(csv.DictReader(open(sys.argv[1])))
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, layout="constrained")
    for axis, (varied, label) in zip(axes, PANELS):
        chosen = [row for row in rows if row["varied"] == varied]
        x = [int(row[varied]) for row in chosen]
        time = [float(row["cpu_ms"]) for row in chosen]
        a_pass = [t / int(row["passes"]) for t, row in zip(time, chosen)]
        axis.loglog(x, time, "o-", color=BLUE, label="fit to the optimum")
        axis.loglog(x, a_pass, "s--", color=VERMILION, label="the same, divided by its passes")
        # The middle of the passes' line, and a line of slope 1 through it.
        middle = len(x) // 2
        linear = [a_pass[middle] * value / x[middle] for value in x]
        axis.loglog(x, linear, ":", color="0.5", label="slope 1: time in proportion")
        fixed = ", ".join(f"{name} = {chosen[0][key]}" for key, name in (("n", "n"), ("d", "d"), ("classes", "C")) if key != varied)
        axis.set_title(fixed, fontsize=10)
        axis.set_xlabel(label)
        axis.grid(True, which="major", color="0.9")
    axes[0].set_ylabel("CPU time, ms")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(sys.argv[2], metadata={"Date": None})


main()
