"""Learned weights: what there is (`known`), where it is found or fetched (`obtain`), how it is read (`reading`)."""

from lookalike.weights.known import PARTS as PARTS
from lookalike.weights.known import Archive as Archive
from lookalike.weights.known import File as File
from lookalike.weights.known import Part as Part
from lookalike.weights.known import part as part
from lookalike.weights.obtain import FOLDER as FOLDER
from lookalike.weights.obtain import OFFLINE as OFFLINE
from lookalike.weights.obtain import Found as Found
from lookalike.weights.obtain import MissingWeights as MissingWeights
from lookalike.weights.obtain import fetch as fetch
from lookalike.weights.obtain import find as find
from lookalike.weights.obtain import folders as folders
from lookalike.weights.obtain import missing as missing
from lookalike.weights.obtain import present as present
from lookalike.weights.obtain import sha256_of as sha256_of
from lookalike.weights.obtain import table as table
from lookalike.weights.reading import Loaded as Loaded
from lookalike.weights.reading import load as load
