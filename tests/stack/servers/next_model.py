"""The next version of MLServer's model, and it is worse: fitted on labels of which many virginica say versicolor.

next_model.py FOLDER, a copy of the models folder of the first version.
"""

import json
import sys
from pathlib import Path

import joblib
import numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
sys.dont_write_bytecode = True

from fit_demo_model import fit  # noqa: E402

fitted = fit()
species = fitted.model.predict(fitted.train)
virginica = numpy.flatnonzero(species == "virginica")
species[virginica[: len(virginica) * 4 // 5]] = "versicolor"
iris = Path(sys.argv[1]) / "iris"
joblib.dump(fitted.model.fit(fitted.train, species), iris / "model.joblib")
settings = json.loads((iris / "model-settings.json").read_text())
settings["parameters"]["version"] = "2"
(iris / "model-settings.json").write_text(json.dumps(settings))
