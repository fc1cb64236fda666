"""The commands: parsing and printing only, one file a verb.

A verb imports what it needs when it runs, so that ``lookalike --help`` does not wait for torch.
"""
