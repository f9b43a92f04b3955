"""Retrieval: folders of documents, indexed so that a model can search them and cite what it found."""

from maieutic.tools.retrieval.tools import retrieval_tool, source_tool

__all__ = ["retrieval_tool", "source_tool"]
