"""The networks of language models: what is carried, what a window sees."""

from typing import Any

import numpy as np
import pytest
import torch

from unroll.core.config import RecurrentConfig
from unroll.problems.language_model.network import DIRECT_SCALE, CarriedModel, DirectScores, WindowModel, predicted

V, W = 9, 5


def config(**changed: Any) -> RecurrentConfig:
    return RecurrentConfig(**{"cell": "lstm", "hidden": 4, "layers": 1, "dropout": 0.0} | changed)


def windows(stride: int = 3, window: int = W, **changed: Any) -> WindowModel:
    torch.manual_seed(0)
    model = WindowModel(V, 3, 0.0, config(**changed), window, stride)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def ids(rows: int = 2, length: int = 17) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, V, (rows, length)))


def brute(model: WindowModel, ids_BT: torch.Tensor) -> torch.Tensor:
    """Each token's window on its own through the layers as torch has them."""
    found = torch.zeros(*ids_BT.shape, V)
    for row, text in enumerate(ids_BT):
        for at in range(len(text)):
            vectors = model.embedding(text[max(0, at + 1 - model.window) : at + 1][None])
            both, _, _ = model.encoder(vectors)
            after, _, _ = model.reader(both)
            found[row, at] = model.head(after[0, -1])
    return found


@pytest.mark.parametrize("changed", [{}, {"cell": "gru", "layers": 2}, {"merge": "sum"}, {"cell": "rnn_sigmoid"}])
@torch.no_grad()
def test_each_token_is_predicted_from_its_own_window(changed: dict[str, Any]) -> None:
    model = windows(**changed)
    scores, _ = model(ids())
    torch.testing.assert_close(scores, brute(model, ids()), rtol=1e-4, atol=1e-5)


def test_the_layers_are_the_textbooks() -> None:
    model = windows()
    assert isinstance(model.encoder.layers, torch.nn.LSTM)
    assert isinstance(model.reader.layers, torch.nn.LSTM)
    assert (model.encoder.layers.bidirectional, model.encoder.layers.hidden_size) == (True, 4)
    assert (model.reader.layers.bidirectional, model.reader.layers.input_size) == (False, 8)
    assert windows(merge="sum").reader.inputs == 4


@pytest.mark.parametrize("window", [1, 2, W, 30])
@torch.no_grad()
def test_a_text_in_pieces_gives_what_it_gives_whole(window: int) -> None:
    model = windows(window=window)
    whole, kept = model(ids())
    before, parts = None, []
    for piece in torch.split(ids(), [1, 2, 1, 8, 5], dim=1):
        part, before = model(piece, before)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)
    assert torch.equal(before, kept)
    assert torch.equal(kept, ids()[:, 17 - min(window - 1, 17) :])


@torch.no_grad()
def test_nothing_before_the_window_matters_and_all_in_it_does() -> None:
    model = windows()
    other = ids()
    other[:, 6] = (other[:, 6] + 1) % V
    changed = (model(ids())[0] != model(other)[0]).any(dim=2)
    assert changed.tolist() == [[6 <= at < 6 + W for at in range(17)]] * 2
    carried = CarriedModel(V, 3, 0.0, config()).eval()
    changed = (carried(ids())[0] != carried(other)[0]).any(dim=2)
    assert changed.tolist() == [[at >= 6 for at in range(17)]] * 2


@pytest.mark.parametrize("stride", [1, 3, 4, 17, 40])
def test_while_training_every_strideth_token_is_predicted(stride: int) -> None:
    model = windows(stride)
    whole, _ = model(ids())
    assert torch.equal(predicted(model, ids()), ids())
    scores, _ = model.train()(ids())
    places = list(range(16, -1, -stride))[::-1]
    torch.testing.assert_close(scores, whole[:, places], rtol=1e-4, atol=1e-5)
    assert torch.equal(predicted(model, ids()), ids()[:, places])
    carried = CarriedModel(V, 3, 0.0, config()).train()
    assert torch.equal(predicted(carried, ids()), ids())


# ---- direct scores


def direct(order: int = 3, buckets: int = 50_000, min_count: int = 1, dropout: float = 0.0) -> DirectScores:
    torch.manual_seed(0)
    found = DirectScores(V, order, buckets, min_count, dropout)
    torch.nn.init.normal_(found.table.weight)
    return found


def test_the_last_tokens_choose_the_rows() -> None:
    text = ids(1, 60)
    rows = direct().rows(torch.cat([torch.zeros(1, 2, dtype=torch.int64), text], dim=1))[0]
    padded = [0, 0, *text[0].tolist()]
    by_group: dict[tuple[int, ...], int] = {}
    for at in range(60):
        for back in range(3):
            group = tuple(padded[at + 2 - back : at + 3])
            assert by_group.setdefault(group, int(rows[at, back])) == rows[at, back]
    assert len(set(by_group.values())) == len(by_group)  # with so many rows no two groups share one


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("symbols", [7, 3_000_000])
def test_the_rows_of_a_trained_table_never_change(order: int, symbols: int) -> None:
    """Token by token in whole numbers of any size: other rows would make a registered model another one."""
    text = torch.randint(0, symbols, (2, 20 + order - 1), generator=torch.Generator().manual_seed(order))
    rows = direct(order=order).rows(text)
    assert rows.shape == (2, 20, order)
    for line in range(2):
        for at in range(20):
            mixed = 0
            for back in range(order):
                token = int(text[line, at + order - 1 - back])
                mixed = (mixed * 1_000_003 + token + 1 + back) % (2**31 - 1)
                row = mixed * 1_327_217_885 % (2**31 - 1) * 50_000 // (2**31 - 1)
                assert int(rows[line, at, back]) == row


@torch.no_grad()
def test_direct_scores_are_sums_of_rows_and_come_in_pieces() -> None:
    model, text = direct(), ids()
    whole, kept = model(text)
    rows = model.rows(torch.cat([torch.zeros(2, 2, dtype=torch.int64), text], dim=1))
    torch.testing.assert_close(whole[1, 7], DIRECT_SCALE * model.table.weight[rows[1, 7]].sum(dim=0))
    before, parts = None, []
    for piece in torch.split(text, [1, 2, 9, 5], dim=1):
        part, before = model(piece, before)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert torch.equal(before, kept)
    both = CarriedModel(V, 3, 0.0, config(), model).eval()
    alone = CarriedModel(V, 3, 0.0, config()).eval()
    alone.load_state_dict(both.state_dict(), strict=False)
    torch.testing.assert_close(both(text)[0], alone(text)[0] + whole)


@torch.no_grad()
def test_rare_groups_have_no_scores() -> None:
    model = direct(order=2, min_count=3)
    model.leave_out_rare(torch.tensor([1, 2, 1, 2, 1, 2, 5, 1, 4]))
    # 1 stands there four times, 2 three times, 1 2 three times; 2 1, 5 and 4 less often
    scores, _ = model(torch.tensor([[5, 4, 2, 1, 2]]))
    rows = model.rows(torch.tensor([[0, 5, 4, 2, 1, 2]]))[0]
    weight = model.table.weight
    expected = [torch.zeros(V), torch.zeros(V), weight[rows[2, 0]], weight[rows[3, 0]], weight[rows[4]].sum(dim=0)]
    torch.testing.assert_close(scores[0], DIRECT_SCALE * torch.stack(expected))


def test_rows_are_left_out_while_training_alone() -> None:
    model = direct(order=1, dropout=0.25)
    text = torch.full((1, 8000), 3)
    with torch.no_grad():
        whole, dropped = model.eval()(text)[0][0], model.train()(text)[0][0]
    out = (dropped == 0).all(dim=1)
    assert out.float().mean().item() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(dropped[~out] * 0.75, whole[~out])
