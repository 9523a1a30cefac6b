"""Fits the demo model again, as a scikit-learn object that MLServer can load: fit.py MODEL.joblib."""

import sys
from pathlib import Path

import joblib

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
sys.dont_write_bytecode = True

from fit_demo_model import fit  # noqa: E402

joblib.dump(fit().model, sys.argv[1])
