"""Losses: what an expression or a name stands for, the literature's by name, and weights that pull equally."""

from lookalike.algebra import Loss as Loss
from lookalike.algebra import as_loss as as_loss
from lookalike.algebra import combine as combine
from lookalike.losses.build import is_preset as is_preset
from lookalike.losses.build import loss as loss
from lookalike.losses.build import prepare as prepare
from lookalike.losses.calibration import calibrate as calibrate
from lookalike.losses.calibration import strengths as strengths
from lookalike.losses.expressions import Summand as Summand
from lookalike.losses.expressions import parse as parse
