"""The served model as code: MLflow keeps this file beside the model and runs it, instead of unpickling an object."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from unroll.core.errors import UnrollError
from unroll.model.predictor import Predictor


class ServedModel(PythonModel):
    """Raw input to answer, through ``Predictor``."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model's folder."""
        self._predictor = Predictor.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Answer; a faulty input is the caller's to mend and named in one line (HTTP 400)."""
        try:
            return self._predictor.predict(model_input)
        except UnrollError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


mlflow.models.set_model(ServedModel())
