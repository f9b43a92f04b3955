"""The schema of a PostgreSQL database, from its catalogue: what the role may read, with keys, comments and samples."""

from typing import Any

from maieutic.tools.sql.schema import Column, Schema, TableInfo, sample_text

MOST_TABLES = 2_000
SAMPLED_TABLES = 200
_SAMPLED_ROWS, _SAMPLES = 60, 3
_TABLES = """
SELECT c.oid, CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END,
  CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END,
  CASE WHEN c.relkind IN ('v', 'f') OR c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END,
  obj_description(c.oid, 'pg_class'), c.oid::regclass::text, c.relkind IN ('r', 'p', 'm')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 2 LIMIT %s
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
  col_description(a.attrelid, a.attnum), a.atttypid::regtype::text,
  EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'p' AND a.attnum = ANY (k.conkey)),
  (SELECT CASE WHEN pg_table_is_visible(f.oid) THEN f.relname ELSE n.nspname || '.' || f.relname END || '.' || t.attname
   FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace n ON n.oid = f.relnamespace
   JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[array_position(k.conkey, a.attnum)]
   WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey) LIMIT 1)
FROM pg_attribute a WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum
"""
_ENUMS = """
SELECT e.enumtypid::regtype::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e GROUP BY 1
"""
_NUMERIC = ("smallint", "integer", "bigint", "real", "double precision", "numeric", "boolean", "oid")


async def read_schema(connection: Any) -> Schema:
    """The tables that the connection's role may read."""
    listed = await (await connection.execute(_TABLES, (MOST_TABLES + 1,))).fetchall()
    oids = [row[0] for row in listed]
    enums = dict(await (await connection.execute(_ENUMS)).fetchall())
    columns: dict[int, list[tuple[Any, ...]]] = {}
    for row in await (await connection.execute(_COLUMNS, (oids,))).fetchall():
        columns.setdefault(row[0], []).append(row[1:])
    tables = []
    for at, (oid, name, kind, rows, comment, place, is_stored) in enumerate(listed[:MOST_TABLES]):
        described = columns.get(oid, [])
        sampled = is_stored and at < SAMPLED_TABLES
        samples = await _samples(connection, place, described) if sampled else [()] * len(described)
        tables.append(
            TableInfo(
                name,
                tuple(_column(row, found, enums) for row, found in zip(described, samples, strict=True)),
                kind,
                rows,
                comment,
            )
        )
    return Schema(tuple(tables), len(listed) <= MOST_TABLES)


def _column(row: tuple[Any, ...], samples: tuple[str, ...], enums: dict[str, list[str]]) -> Column:
    name, type_, null, comment, base, primary, refers = row
    if base in enums:
        samples = tuple(f"'{label}'" for label in enums[base][:12])
    return Column(name, type_, null, primary, refers, comment, samples)


async def _samples(connection: Any, place: str, columns: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """A few different values of each column; none where reading them fails or takes long."""
    import psycopg

    if not columns:
        return []
    shown = ", ".join(f"left({_quoted(row[0])}::text, 60)" for row in columns)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('statement_timeout', '1000', true)")
            rows = await (await connection.execute(f"SELECT {shown} FROM {place} LIMIT {_SAMPLED_ROWS}")).fetchall()
    except psycopg.Error:
        return [()] * len(columns)
    found = []
    for at, column in enumerate(columns):
        values = list(dict.fromkeys(row[at] for row in rows if row[at] is not None))[:_SAMPLES]
        plain = column[1].partition("(")[0] in _NUMERIC
        found.append(tuple(value if plain else sample_text(value) for value in values))
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
