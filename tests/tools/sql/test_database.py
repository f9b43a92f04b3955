"""Which database a path, a URL or an object means, and that its password stays hidden."""

from pathlib import Path

import pytest

from maieutic.errors import UserError
from maieutic.tools.sql.database import database_of, openly, secrets_of, table_name


@pytest.mark.parametrize(
    ("url", "kind", "label"),
    [
        ("postgres://ann:pw@db.example.org:5433/shop", "postgresql", "postgres://db.example.org:5433/shop"),
        ("postgresql+psycopg://ann@/shop?host=/tmp", "postgresql", "postgresql+psycopg:///shop"),
        ("mysql+pymysql://ann:p:w@db/shop", "url", "mysql+pymysql://db/shop"),
    ],
)
def test_urls(url: str, kind: str, label: str) -> None:
    database = database_of(url)
    assert (database.kind, database.label) == (kind, label)
    assert "pw" not in repr(database) and "p:w" not in repr(database)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://ann@db/shop", []),
        ("postgresql://ann:@db/shop", []),
        ("postgresql://ann:s%40t@db/shop", ["s%40t"]),
        ("postgresql://ann:s@t@db/shop", ["s@t"]),
        ("postgresql:///shop?user=ann&password=s", ["s"]),
        ("plain/path:with@colon", []),
    ],
)
def test_passwords_are_found_wherever_they_stand(url: str, secrets: list[str]) -> None:
    assert secrets_of(url) == secrets
    if secrets:
        with pytest.raises(UserError, match="PGPASSWORD"):
            openly(url)
    else:
        assert openly(url) == url


def test_a_password_is_taken_out_of_messages_in_every_writing() -> None:
    database = database_of("postgresql://ann:s3%40cret@db/shop")
    assert database.redact("tried s3%40cret and s3@cret for ann") == "tried *** and *** for ann"


def test_files_and_folders(tmp_path: Path) -> None:
    for name in ("a.csv", "A.parquet", "2 b.tsv.gz", "c.txt"):
        (tmp_path / name).touch()
    assert sorted(database_of(tmp_path).files) == ["A", "a_2", "t_2_b"]
    assert database_of(tmp_path / "a.csv").kind == "files"
    assert database_of(tmp_path / "c.txt").kind == "file"
    assert database_of(f"sqlite:///{tmp_path}/c.txt").path == tmp_path / "c.txt"
    with pytest.raises(UserError, match="There is no database"):
        database_of(tmp_path / "none.db")
    with pytest.raises(UserError, match="no data frames"):
        database_of({})


@pytest.mark.parametrize(
    ("name", "table"), [("a b-c", "a_b_c"), ("2024", "t_2024"), ("Ümlaut", "Ümlaut"), ("--", "data")]
)
def test_names_of_tables_need_no_quotes(name: str, table: str) -> None:
    assert table_name(name) == table
