"""Forecasting models that are solved, not trained: AR, VAR, ARMA, state-space models, and the expert of a network.

Shapes: L lag, F inputs, H horizons, R runs.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unroll.core.errors import TrainingError
from unroll.problems.common.base import Meta, Prepared
from unroll.problems.forecasting.config import ClassicalModel, LinearModel, StateSpaceModel
from unroll.problems.windows import arrays, calendar

if TYPE_CHECKING:
    from unroll.problems.forecasting.classical import Affine
    from unroll.problems.forecasting.network.affine import AffineForecaster, AffineMap

CHUNK = 1 << 12
"""Rows of a VAR's equations that are in memory at a time."""
SEGMENT, SEED = 500, 1
"""Rows of the pieces that EM filters side by side, and the seed of the little noise that it starts with."""


def solve(config: ClassicalModel, prepared: Prepared) -> "AffineForecaster":
    """A classical model fitted on train; raises TrainingError for a series that does not vary."""
    import torch

    from unroll.problems.forecasting.network.affine import AffineForecaster

    if isinstance(config, StateSpaceModel):
        affine = AffineForecaster(*_state_space(config, prepared))
    else:
        affine = _affine(_linear(config, prepared))
    if not all(torch.isfinite(buffer).all() for buffer in affine.buffers()):
        raise TrainingError(f"model {config.kind}: the estimate is not finite; expected a series that varies")
    return affine


def expert(prepared: Prepared, *, weighted: bool) -> "AffineForecaster":
    """The linear expert of a network: a VAR on train, its order by AIC."""
    fit = _linear(LinearModel(kind="var", order=None, criterion="aic", method="maximum_likelihood"), prepared)
    return _affine(_weighted(fit, prepared) if weighted else fit)


def _weighted(fit: "Affine", prepared: Prepared) -> "Affine":
    """A VAR of the same order by least squares with weights, one for each row in all of its equations."""
    import torch

    from unroll.problems.forecasting.lagged import OneStep
    from unroll.problems.forecasting.network.least_squares import Rows, reweighted

    meta, values_TF, (order,) = prepared.meta, prepared.arrays["values"], fit.order
    last_N = np.concatenate([np.arange(start + order - 1, stop - 1) for start, stop in arrays.runs(prepared, "train")])

    def rows() -> Iterator[Rows]:
        for low in range(0, len(last_N), CHUNK):
            last_C = last_N[low : low + CHUNK]
            one_C1 = np.ones((len(last_C), 1))
            lagged_CS = values_TF[last_C[:, None] - np.arange(order)].reshape(len(last_C), -1)
            yield Rows(
                torch.from_numpy(np.concatenate([lagged_CS, one_C1], axis=1)),
                torch.from_numpy(values_TF[last_C + 1].astype(np.float64))[:, None],
                torch.from_numpy(np.concatenate([values_TF[last_C], one_C1], axis=1)),
            )

    solved_SF = reweighted(rows).solve()[0].numpy()
    series = values_TF.shape[1]
    coefficients_PFF = solved_SF[:-1].reshape(order, series, series).transpose(0, 2, 1)
    model = OneStep(coefficients_PFF, solved_SF[-1], np.eye(series))
    weights_HLF, bias_H, _ = model.ahead(meta["target_column"], meta["lag"], meta["horizons"])
    return replace(fit, weights_HLF=weights_HLF, bias_H=bias_H)


def _affine(fit: "Affine") -> "AffineForecaster":
    import torch

    from unroll.problems.forecasting.network.affine import AffineForecaster

    return AffineForecaster(*map(torch.from_numpy, (fit.weights_HLF, fit.bias_H, fit.deviation_H)))


def _linear(config: LinearModel, prepared: Prepared) -> "Affine":
    from unroll.problems.forecasting import classical

    meta = prepared.meta
    return classical.fit(
        config.kind,
        prepared.arrays["values"],
        arrays.runs(prepared, "train"),
        meta["target_column"],
        meta["lag"],
        meta["horizons"],
        config.order,
        config.criterion,
        config.method,
        arrays.runs(prepared, "validation"),
    )


def _state_space(config: StateSpaceModel, prepared: Prepared) -> "AffineMap":
    """The calendar enters the observations alone (D u, as a regression with errors of a state-space model).

    A point on a circle that went through the state (B u) would come out of it as one on a circle again, later and of
    another size, which D holds as well; but a window would not know what came into the state before its first row.
    """
    import torch

    from unroll.problems.forecasting.network import affine
    from unroll.problems.forecasting.state_space import em

    meta, stop = prepared.meta, prepared.meta["bounds"]["train"][1]
    runs = arrays.runs(prepared, "train").tolist()
    sequences = em.segments(torch.from_numpy(np.array(prepared.arrays["values"][:stop])), runs, SEGMENT, config.rows)
    u_NTU = None
    if known_inputs(config, meta):
        circles = calendar.expand(prepared.arrays["calendar"][:stop], meta["calendar"])
        u_NTU = em.segments(torch.from_numpy(circles), runs, SEGMENT, config.rows).nan_to_num()
    model, _ = em.em(
        sequences, config.states, config.iterations, config.tolerance, SEED, u_NTU, set(em.LEARNED) - {"B"}
    )
    return affine.affine_of(em.anywhere(model), meta["lag"], meta["horizons"], meta["target_column"])


def known_inputs(config: ClassicalModel, meta: Meta) -> int:
    """How many inputs the model has that are known in advance."""
    return calendar.width(meta["calendar"]) if isinstance(config, StateSpaceModel) and config.inputs != "none" else 0
