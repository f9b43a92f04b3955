"""An own tool is a typed async function: its name, docstring and annotations are what the model is told."""

import maieutic


@maieutic.register_tool
async def convert(amount: float, unit: str) -> float:
    """Convert an amount of miles or kilometres (unit "mi" or "km") into the other."""
    if unit not in ("mi", "km"):
        raise maieutic.ToolError(f"There is no unit {unit!r}: use mi or km.")
    return round(amount * 1.609344 if unit == "mi" else amount / 1.609344, 3)


if __name__ == "__main__":
    from maieutic.llm.scripted import call_tool

    model = maieutic.ScriptedModel([call_tool("convert", amount=26.2, unit="mi"), "A marathon.\nAnswer: 42.165 km"])
    result = maieutic.run("How long is 26.2 miles in kilometres?", "tool_loop", model=model, tools=["convert"])
    print(result.answer)
