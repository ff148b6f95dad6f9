"""Word vectors of a file that a network over words begins with.

Shapes: V words, N of them in the file, E width of a vector.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from unroll.core import store
from unroll.core.config import Vectors
from unroll.core.errors import ConfigError, DataError
from unroll.core.layout import project_root
from unroll.features import word_vectors
from unroll.problems.common.base import Meta

VectorsFile = Annotated[
    str | None,
    Field(min_length=1, description="File of word vectors, GloVe's or word2vec's text; relative to the project"),
]
"""The key ``prepare.vectors``."""
VectorsKey = Annotated[
    Vectors, Field(description="Word vectors: learned from nothing, or those of prepare.vectors, trained on or kept")
]
"""The key ``model.vectors``."""


def write(name: str, words: Sequence[str], seed: int, folder: Path) -> dict[str, Any]:
    """Write ``vectors`` (1 + V, E) and ``vectors_found`` (1 + V,), the unknown word's first; what meta tells of them.

    A word that the file lacks has a vector drawn with ``seed``. Raises DataError that names ``prepare.vectors``.
    """
    path = Path(name).expanduser()
    path = path if path.is_absolute() else _path(name, project_root(folder))
    vocabulary = [word_vectors.UNKNOWN_WORD, *words]
    try:
        vectors_VE, found_V = word_vectors.initial(path, vocabulary, np.random.default_rng(seed))
    except DataError as error:
        raise DataError(f"prepare.vectors: {error}") from None
    store.write_array(folder / "vectors.npy", vectors_VE)
    store.write_array(folder / "vectors_found.npy", found_V)
    return {"sha256": store.sha256(path), "width": vectors_VE.shape[1], "words_found": int(found_V[1:].sum())}


def files(name: str | None, root: Path) -> dict[str, Path]:
    """The file by its name; none where none is named."""
    return {} if name is None else {name: _path(name, root)}


def disagreement(given: str | None, start: Vectors) -> str | None:
    """What is wrong where a network is to begin with vectors (``start``) that no file gives."""
    if start == "learned" or given is not None:
        return None
    return (
        f"model.vectors: {start!r} needs a file of word vectors, and prepare.vectors is null; "
        "expected a file there, or 'learned' here"
    )


def file_fault(name: str | None, start: Vectors, embedding: int, root: Path) -> str | None:
    """What is wrong with the file, or with a network beside it, as far as the beginning of the file tells."""
    if name is None:
        return None
    try:
        return _misfit(start, embedding, word_vectors.width(_path(name, root)))
    except DataError as error:
        return f"prepare.vectors: {error}"


def require(start: Vectors, embedding: int, meta: Meta) -> None:
    """Raises ConfigError where a network ``embedding`` wide cannot begin with the vectors that were prepared."""
    known = meta.get("vectors")
    if fault := disagreement(known and known["sha256"], start):
        raise ConfigError(fault)
    if known and (fault := _misfit(start, embedding, known["width"])):
        raise ConfigError(fault)


def facts(found_V: np.ndarray, ids: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How many words of the vocabulary, and what share of the words of each part, have a vector of the file's."""
    return {
        "vocabulary_words": len(found_V) - 1,
        "vocabulary_words_with_a_vector": int(found_V[1:].sum()),
        **{
            f"{part}_share_with_a_vector": float(found_V[part_ids].mean()) if len(part_ids) else 0.0
            for part, part_ids in ids.items()
        },
    }


def _misfit(start: Vectors, embedding: int, width: int) -> str | None:
    if start == "learned" or embedding == width:
        return None
    return f"model.embedding: {embedding} is not allowed; expected {width}, the width of prepare.vectors"


def _path(name: str, root: Path) -> Path:
    return root / Path(name).expanduser()  # of an absolute path nothing is changed
