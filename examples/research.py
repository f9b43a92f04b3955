"""Research a question over pages of your own: readers read them side by side, and the answer cites what they found."""

import json
from pathlib import Path

import maieutic
from maieutic.llm.scripted import call_tool
from maieutic.tools.web import page_tool, search_tool

OWLS, ZOO = "https://birds.example/owl", "https://zoo.example/owls"
PAGES = [
    {"url": OWLS, "title": "Owls", "text": "A barn owl weighs about 350 grams."},
    {"url": ZOO, "title": "The zoo's owls", "text": "Our barn owl weighs 340 grams and sleeps by day."},
]
ROLES = {  # what a model would say: the researcher in three turns, a reader for each page, and the validator
    "You research": [
        call_tool("search", query="weight of a barn owl"),
        call_tool("browse", urls=[OWLS, ZOO], looking_for="the weight of a barn owl"),
        "A barn owl weighs about 350 grams [1].\nAnswer: 350 grams",
    ],
    "You read one page": ['{"new": ["It weighs about 350 grams."], "page_down": false}'] * 2,
    "You compare claims": "1: supported",
}

if __name__ == "__main__":
    file = Path("pages.jsonl")
    file.write_text("\n".join(json.dumps(page) for page in PAGES))
    tools = [search_tool(str(file)), page_tool(str(file))]
    result = maieutic.run("How heavy is a barn owl?", "deep_research", model=maieutic.ScriptedModel(ROLES), tools=tools)
    print(result.text)
