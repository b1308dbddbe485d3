"""Scores a TREC run with pytrec_eval: evaluate.py QRELS.tsv RUN.trec -> JSON by question.

`recip_rank` has no cut in trec_eval, so its cut at ten is that of the ten best documents,
taken in trec_eval's order: score (as a 32-bit float) descending, then name descending.
"""

import json
import struct
import sys

import pytrec_eval

MEASURES = {"ndcg_cut.10", "recall.5,10,100", "recip_rank", "map", "success.10"}


def single(score):
    return struct.unpack("f", struct.pack("f", score))[0]


qrels = {}
with open(sys.argv[1], encoding="utf-8") as lines:
    next(lines)
    for line in lines:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)

run = {}
with open(sys.argv[2], encoding="utf-8") as lines:
    for line in lines:
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)

top = {
    query: dict(sorted(documents.items(), key=lambda d: (single(d[1]), d[0].encode()), reverse=True)[:10])
    for query, documents in run.items()
}
found = pytrec_eval.RelevanceEvaluator(qrels, MEASURES).evaluate(run)
found_top = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top)
for query, measures in found.items():
    measures["recip_rank_10"] = found_top[query]["recip_rank"]
json.dump(found, sys.stdout)
