"""Settings of exports and of stored vectors."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from tfr_listbert.config.checks import require


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """The SavedModel."""

    output: str = "runs/export"
    """Folder under which `<name>/<version>/` is written."""
    name: str = "ranker"
    """Name of the model at the server, and of its folder in `output`."""
    version: int | None = None
    """Version number; one above the newest when empty."""
    warmup_lists: tuple[int, ...] = (1, 10, 30, 100, 1000)
    """Lengths of the lists that a server ranks with every signature before it serves a version; none when
    empty. TensorFlow Serving takes at most 1,000 such requests."""
    vectors: str | None = None
    """Folder of `embed_documents` whose vectors go into a student's export, for `rank_ids` and `search`."""
    search_results: int = 10
    """Documents that `search` finds where a request's `results` is 0."""
    cascade: str | None = None
    """Run folder of a ranker that ranks a student's first documents anew, in one SavedModel; none when empty."""
    cascade_documents: int = 30
    """How many documents of a list it ranks anew."""
    float16: bool = False
    """Whether weights are kept as float16, in half the space; they are cast when a server loads them, and computed
    with in float32."""
    onnx: bool = False
    """Whether `score_tokens` becomes an ONNX model too, `assets.extra/score_tokens.onnx`; needs the extra `onnx`."""
    force: bool = False
    """Whether a version becomes `stable` although it is significantly worse than the current one; its card says so."""
    license: str = "not stated"
    """Licence of the weights, as the model card gives it."""

    def __post_init__(self) -> None:
        """Checks name, version and lengths."""
        rule = "must be a letter and at most 49 more letters, digits and _.-, since a Kubernetes service has the name"
        require(bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,49}", self.name)), "export.name", rule, self.name)
        require(self.version is None or self.version >= 1, "export.version", "must be >= 1", self.version)
        for key in ("search_results", "cascade_documents"):
            require(getattr(self, key) >= 1, f"export.{key}", "must be >= 1", getattr(self, key))
        lengths = list(self.warmup_lists)
        require(all(length >= 1 for length in lengths), "export.warmup_lists", "must hold numbers >= 1", lengths)


@dataclasses.dataclass(frozen=True)
class VectorsConfig:
    """A catalogue's vectors (`pipelines/embed_documents.py`), by the student in `train.run`."""

    output: str = "runs/vectors"
    """Folder of the vectors."""
    catalogue: str | None = None
    """Files of products, by a path or glob; the documents of all prepared lists when empty."""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column of the catalogue by name: `document_id` and each text field; of the same name where left out."""
    csv: dict[str, Any] = dataclasses.field(default_factory=dict)
    """How the catalogue's CSV files are written, as `data.options.csv`; as most programs do when empty."""
    dtype: str = "float32"
    """`float32` or `float16`."""
    shard_documents: int = 50_000
    """Vectors per shard."""
    batch_documents: int = 256
    """Documents embedded at a time."""
    formats: tuple[str, ...] = ()
    """What else to write beside: `opensearch`, `elasticsearch` (bulk NDJSON and mapping) and `faiss` (an index)."""
    index: str = "products"
    """Name of the index in the bulk files."""

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(self.dtype in ("float32", "float16"), "vectors.dtype", "must be float32 or float16", self.dtype)
        for name in ("shard_documents", "batch_documents"):
            require(getattr(self, name) >= 1, f"vectors.{name}", "must be >= 1", getattr(self, name))
        is_name = re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,254}", self.index) is not None
        require(is_name, "vectors.index", "must be lower-case letters, digits and _.-, as engines want it", self.index)
        known = ("opensearch", "elasticsearch", "faiss")
        for name in self.formats:
            require(name in known, "vectors.formats", f"must be among {', '.join(known)}", name)
