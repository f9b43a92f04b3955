"""Constraints are found where they are said plainly, and checked by rule."""

import pytest

from maieutic.tasks.constraints import constraints, response, violations


@pytest.mark.parametrize(
    ("question", "kept", "broken"),
    [
        ("Describe rain in at least 4 words.", "rain falls from clouds", "rain falls down"),
        ("Use less than three sentences.", "One. Two.", "One. Two. Three!"),
        ("Write no more than 2 paragraphs.", "a\n\nb", "a\n\nb\n\nc"),
        ("Give exactly 3 bullet points.", "* a\n* b\n* c", "* a\n* b"),
        ("Answer in between 2 and 4 words.", "one two three", "one"),
        ("Answer in between 2 and 4 words.", "one two", "one two three four five"),
        ("Keep it under 10 characters.", "123456789", "1234567890"),
        ("Include the keywords 'sun' and 'moon'.", "The Sun and the moon.", "The sun alone."),
        ('Use the word "tea" at least 2 times.', "tea, tea", "tea and teapots"),
        ("Do not use the word 'bad'.", "It is badly done.", "It is bad."),
        ("Avoid the words 'a' or 'the'.", "Rain fell.", "The rain fell."),
        ("Reply in JSON format.", '{"a": 1}', "a: 1"),
        ("Reply in JSON format.", '```json\n{"a": 1}\n```', "```json\n{a}\n```"),
        ("Your entire response should be in lowercase.", "all small", "All small"),
        ("Answer in all capital letters.", "LOUD 1", "Loud"),
        ("Write it without any commas.", "a; b", "a, b"),
        ("Wrap your entire response in double quotation marks.", '"so"', "so"),
        ("Finish your response with the exact phrase 'That is all.'", "Rain. That is all.", "That is all. Bye."),
        ("Begin your answer with 'Dear all'", "Dear all, hello", "Hello, dear all"),
        ("Add a title wrapped in double angular brackets, such as <<poem>>.", "<<Rain>>\nIt fell.", "Rain\nIt fell."),
        ("At the end add a postscript starting with P.S.", "Rain.\nP.S. More rain.", "Rain."),
    ],
)
def test_a_constraint_is_found_and_checked(question: str, kept: str, broken: str) -> None:
    demands = constraints(question)
    assert demands and violations(demands, kept) == () and violations(demands, broken)


@pytest.mark.parametrize(
    "question",
    [
        "How many words does the sentence 'I am' have?",
        "What is 4 + 3?",
        "A shop sold more than usual. How many?",
        "Who wrote 'The end'?",
        "There are no fewer apples than pears. Which are more?",
    ],
)
def test_none_is_made_up(question: str) -> None:
    assert constraints(question) == ()


def test_what_is_checked_is_the_response() -> None:
    demands = constraints("Answer in exactly 2 words.")
    assert violations(demands, "<think>many words to think about</think>two words") == ()
    assert violations(demands, "First I work it out.\nAnswer: two words") == ()
    assert violations(demands, "First I work it out.\nAnswer: just one word more") == ("exactly 2 words",)
    assert response("**Answer:** a\n\nb") == "a\n\nb"


def test_a_demand_said_twice_is_one() -> None:
    assert len(constraints("Use at least 5 words. I repeat: at least five words.")) == 1
