"""The contract between computing and reporting: run folders, tables, views and statistics.

No file here knows torch, so that a report opens without it.
"""
