"""SQL: databases that a model may question, and never change: SQLite, DuckDB, files, data frames, PostgreSQL."""

from maieutic.tools.sql.tools import schema_tool, sql_tool

__all__ = ["schema_tool", "sql_tool"]
