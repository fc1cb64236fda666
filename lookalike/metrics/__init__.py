"""The rack: one file is one metric (with its close kin); no file imports another."""
