"""P-values of scipy.stats.permutation_test for the lists of differences in a JSON file.

permutation.py DIFFERENCES.json -> JSON: for each list {"both": p, "lower": p}. Up to 2^17
assignments of signs are gone through, more are drawn a million times.
"""

import json
import sys

import numpy
from scipy.stats import permutation_test

with open(sys.argv[1], encoding="utf-8") as file:
    lists = json.load(file)


def p_value(differences, alternative):
    return permutation_test(
        (numpy.array(differences),),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=1_000_000,
        batch=10_000,
        alternative=alternative,
        rng=numpy.random.default_rng(1),
    ).pvalue


json.dump([{"both": p_value(d, "two-sided"), "lower": p_value(d, "less")} for d in lists], sys.stdout)
