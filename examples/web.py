"""Search pages of your own and read them as if they were the web: the same tools, and no network."""

import json
from pathlib import Path

import maieutic
from maieutic.llm.scripted import call_tool
from maieutic.tools.web import page_tool, search_tool

PAGES = [
    {"url": "https://birds.example/heron", "title": "Herons", "text": "A grey heron weighs up to two kilograms."},
    {"url": "https://birds.example/owl", "title": "Owls", "text": "A barn owl weighs about 350 grams."},
]

if __name__ == "__main__":
    file = Path("pages.jsonl")
    file.write_text("\n".join(json.dumps(page) for page in PAGES))

    model = maieutic.ScriptedModel(
        [
            call_tool("search", query="weight of a barn owl"),
            call_tool("read_page", url="https://birds.example/owl"),
            "Answer: 350 grams",
        ]
    )
    tools = [search_tool(str(file)), page_tool(str(file))]
    result = maieutic.run("How heavy is a barn owl?", "tool_loop", model=model, tools=tools)
    print(result.answer)
