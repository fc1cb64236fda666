"""The lab: the same network trained with each loss, judged by each metric, left as one run folder.

`recipe` describes a run, `bakeoff.run` trains, `judge.judge` makes the matrix.
"""
