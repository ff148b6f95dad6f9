"""Models that an older version registered carry code of their own, which imports what it needs from here."""

from unroll.model.predictor import Predictor


def test_predictor_is_importable_where_older_models_look_for_it() -> None:
    from unroll import serving

    assert serving.Predictor is Predictor
