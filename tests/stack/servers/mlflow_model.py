"""The iris model as MLflow loads it from code: mlflow_model.py FOLDER writes it there."""

import sys

import mlflow
from mlflow.models import ModelSignature, set_model
from mlflow.types.schema import ParamSchema, ParamSpec


class Iris(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import iris

        rows = model_input.values.tolist() if hasattr(model_input, "values") else list(model_input)
        params = params or {}
        if params.get("scores"):
            return iris.probabilities(rows)
        if params.get("nan"):
            import numpy

            return numpy.array([[float("nan"), float("inf"), 0.5] for _ in rows])
        return iris.labels(rows)


set_model(Iris())

if __name__ == "__main__":
    import shutil
    from pathlib import Path

    here = Path(__file__).resolve()
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    flags = [ParamSpec(name, "boolean", False) for name in ("scores", "nan")]
    mlflow.pyfunc.save_model(
        sys.argv[1],
        python_model=str(here),
        code_paths=[str(here.parent / "iris.py")],
        signature=ModelSignature(params=ParamSchema(flags)),
        pip_requirements=[],
    )
