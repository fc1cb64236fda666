"""The lab: the same network trained with each loss, judged by each metric, left as one run folder.

`recipe` says what is asked, `bakeoff.run` does it, `judge.judge` makes the matrix.
"""
