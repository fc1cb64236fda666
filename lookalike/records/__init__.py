"""What is written by those who compute and read by those who report: run folders, tables, views, statistics.

No file here knows torch, so that a report opens without it.
"""
