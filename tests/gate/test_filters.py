"""The filters one by one, at what would get past a plainer one, or be thrown out by it."""

import json
from typing import Any

import pytest

from maieutic.gate.benchmark import Benchmark
from maieutic.gate.contamination import ByMeaning, ByWords
from maieutic.gate.duplicates import Exact, Near
from maieutic.gate.endings import Cut, Loop
from maieutic.gate.redaction import Redactor, entropy
from maieutic.gate.sample import Sample, sample_of
from maieutic.gate.words import grams, words
from maieutic.tools.retrieval.hashed import Hashed

TRAIN = (
    "A train leaves the station at noon and travels to the coast at a speed of 60 km/h, while a second train leaves "
    "the coast at the same time and travels to the station at a speed of 40 km/h. The line is 200 km long. After "
    "how many hours do they meet, if neither of them stops on the way?"
)


def asking(question: str, reply: str = "Answer: 2", **fields: Any) -> Sample:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    return sample_of({"messages": said, **fields}, "x:1")


def benchmark(*questions: str) -> Benchmark:
    made = Benchmark("bench", "bench.jsonl", list(questions))
    made.settle()
    return made


def held(sample: Sample, *questions: str) -> str | None:
    return ByWords([benchmark(*questions)])(sample)


def test_exact_duplicates_differ_in_case_spaces_and_punctuation_only() -> None:
    exact = Exact()
    assert exact(asking("What is 4 + 3?")) is None
    assert exact(asking("what  is 4+3 ?\n", "ANSWER 2.")) == "exact duplicate"
    assert exact(asking("What is 4 - 3?")) is None
    assert exact(asking("What is 4 + 3?", "Answer: 3")) is None
    assert exact(asking("What is 4 + 3? Answer:", "2")) is None, "who says what is part of a sample"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("the same time and travels", "the very same time and travels"),
        ("A train leaves", "a train leaves"),
        ("200 km long. After", "200 km long.  After"),
        ("60 km/h", "60km/h"),
    ],
)
def test_a_copy_with_other_words_that_carry_nothing_is_a_near_duplicate(old: str, new: str) -> None:
    near = Near(0.85)
    assert near(asking(TRAIN)) is None
    assert (near(asking(TRAIN.replace(old, new))) or "").startswith("near duplicate of x:1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60 km/h", "90 km/h"),
        ("200 km", "2,000 km"),
        ("neither of them", "one of them"),
        ("hours do they meet, if neither of them stops", "hours do they meet, if the faster one never stops"),
        ("60", "-60"),
        ("After how many", "Before how many"),
        ("A train leaves the station", "A train leaves Rome station"),
        ("to the coast at a", "to the coast at half a"),
    ],
)
def test_a_copy_with_another_fact_is_another_question(old: str, new: str) -> None:
    near = Near(0.85)
    assert old in TRAIN
    assert near(asking(TRAIN)) is None
    assert near(asking(TRAIN.replace(old, new))) is None


def test_samples_with_other_gold_are_no_duplicates() -> None:
    near, exact = Near(0.85), Exact()
    for gold in ("2", "3"):
        task = json.dumps({"question": TRAIN, "gold": gold})
        sample = sample_of({"prompt": [{"role": "user", "content": TRAIN}], "task": task}, "x:1")
        assert (exact(sample), near(sample)) == (None, None)


def test_a_near_duplicate_is_found_among_many_that_share_its_wording() -> None:
    near = Near(0.85)
    for number in range(300):
        assert near(asking(TRAIN.replace("200", str(1000 + number)))) is None
    copy = TRAIN.replace("200", "1250").replace("the same time", "the very same time")
    assert "near duplicate" in (near(asking(copy)) or "")


@pytest.mark.parametrize(
    "leak",
    [
        TRAIN,
        TRAIN.upper().replace(",", " ;"),
        "Here is something to warm up. " + TRAIN + " Think step by step.",
        TRAIN[:140],
        TRAIN.replace("train", "tr\u200bain"),
        TRAIN.replace("the coast", "the seaside", 1).replace("same time", "same hour"),
        " ".join("thing" if i % 24 == 12 else word for i, word in enumerate(TRAIN.split())),
    ],
)
def test_a_benchmarks_question_is_found_whoever_says_it(leak: str) -> None:
    assert held(asking(leak), TRAIN)
    assert held(asking("Tell me one.", leak), TRAIN)
    heard = {"role": "tool", "content": leak}
    assert held(sample_of({"messages": [{"role": "user", "content": "Look."}, heard]}, "x:1"), TRAIN)


def test_a_copy_without_thirteen_words_in_a_row_is_found_by_runs_of_eight() -> None:
    edited = list(words(TRAIN))
    edited[12::13] = ["thing"] * len(edited[12::13])
    assert not set(grams(edited, 13).tolist()) & set(grams(words(TRAIN), 13).tolist())
    assert held(asking(" ".join(edited)), TRAIN) == "contaminated: 30% of bench question 1 in runs of 8 words"


def test_other_questions_about_trains_are_none_of_the_benchmarks() -> None:
    other = "A train leaves the harbour at dawn. It travels for 3 hours at 80 km/h. How far does it get?"
    assert held(asking(other), TRAIN) is None


def test_short_questions_count_only_where_they_stand_alone() -> None:
    assert held(asking("2+2?"), "2 + 2?") == "contaminated: the whole of bench question 1"
    assert held(asking("Solve the problem.\n\n2 + 2?\n\nEnd with the answer."), "2 + 2?")
    assert held(asking("What is 12 + 2 + 2?", "12 + 2 + 2 = 16, for 2 + 2 = 4"), "2 + 2?") is None
    eight = "What is the capital of the old kingdom?"
    assert held(asking(f"Now: {eight} Say it."), eight)


def test_the_wording_that_a_set_shares_is_not_its_content() -> None:
    wording = "State the final answer to the following arithmetic problem and put it into a box at the end: "
    questions = [f"{wording}{n} + {n * n + 7} - {n % 7} * 3 =" for n in range(40)]
    assert held(asking(f"{wording}991 * 55 / 11 ="), *questions) is None
    assert held(asking(questions[17]), *questions)
    assert benchmark(*questions).templated == 40


def test_by_meaning_the_numbers_must_be_the_same() -> None:
    question = "How many apples does Tom have if he buys 12 apples and eats 5 of the apples?"
    near = "If he buys 12 apples and eats 5 of the apples, how many apples does Tom have?"
    looker = ByMeaning([benchmark(question)], Hashed(), 0.9)
    assert "like bench question 1" in (looker(asking(near)) or "")
    assert looker(asking(near.replace("12", "13"))) is None
    assert looker(asking("Name a river in France.")) is None
    assert looker.counts == {"bench": 1}


KEY = "sk-proj-" + "a1B2c3D4e5F6" * 3
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nQWxhZGRpbjpvcGVuIHNlc2FtZQ==\n-----END RSA PRIVATE KEY-----"
)
SECRETS = [
    (f"my key is {KEY}.", "[OPENAI_KEY_1]"),
    ("AKIAIOSFODNN7EXAMPLE", "[AWS_KEY_1]"),
    ("ghp_" + "a1B2" * 9, "[GITHUB_TOKEN_1]"),
    ("hf_" + "aBcDeFgHiJ" * 3 + "kLmN", "[HF_TOKEN_1]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlX29mX2l0", "[JWT_1]"),
    ("postgres://anna:Tr0ub4dor@db.host/x", "[PASSWORD_1]"),
    ("export DB_PASSWORD=hunter2!x", "[SECRET_1]"),
    ('"api_key": "9f8e7d6c5b4a39281706"', "[SECRET_1]"),
    ("Authorization: Bearer abcdef0123456789abcd", "[TOKEN_1]"),
    (PEM, "[PRIVATE_KEY_1]"),
    ("dGhpc0lzQVZlcnlMb25nU2VjcmV0VGhhdE5vYm9keUtub3dzMTIzNDU2Nzg5", "[SECRET_1]"),
]
PERSONAL = [
    ("write to anna.b+x@mail.company.co.uk today", "write to [EMAIL_1] today"),
    ("+49 170 1234567", "[PHONE_1]"),
    ("+1 415 555 2671", "[PHONE_1]"),
    ("call me at 0171 123 4567", "call me at [PHONE_1]"),
    ("Tel.: 555-0142-77", "Tel.: [PHONE_1]"),
    ("(415) 555-2671", "[PHONE_1]"),
    ("card 4111 1111 1111 1111", "card [CARD_1]"),
    ("SSN 078-05-1120", "SSN [SOCIAL_SECURITY_1]"),
    ("DE89 3704 0044 0532 0130 00", "[IBAN_1]"),
]
HARMLESS = [
    "100-200-3000 = -3100 and 123-45-6789 = -6711",
    "x = +1 000 000 000, so 3 + 12 345 678 = 12 345 681",
    "(415) 555 - 2671 is 415 * 555 - 2671",
    "The sum is 4111111111111111 and 1234 5678 9012 3456.",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "secret = compute_secret2(key)",
    "token = tokens[i+1]; the password: required",
    "a token is a word, a key is a key: value",
    "user@example.com and @decorator",
    "3.14159265358979323846264338327950288419716939937510",
    "https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task",
    "int calculateTheLongestCommonSubsequence2(String a)",
    "2^10 = 1024; 10!/(3!*7!) = 120; f(x) = x**2 + 3x - 7",
]


@pytest.mark.parametrize(("text", "after"), SECRETS + PERSONAL)
def test_what_has_a_form_is_replaced(text: str, after: str) -> None:
    clean = Redactor().text(text)
    assert after in clean
    assert clean == after or len(clean) < len(text) + 20


@pytest.mark.parametrize("text", HARMLESS)
def test_mathematics_and_code_stay_as_they_are(text: str) -> None:
    assert Redactor().text(text) == text


def test_what_follows_a_private_key_stays() -> None:
    text = PEM + "\nand then a long sentence without any mark at all"
    assert Redactor().text(text) == "[PRIVATE_KEY_1]\nand then a long sentence without any mark at all"
    assert json.loads(Redactor().text(json.dumps(text))) == Redactor().text(text)


def test_equal_values_have_equal_names_and_json_within_a_row_stays_json() -> None:
    row = {
        "prompt": [{"role": "user", "content": "I am a@b-c.org, not d@b-c.org."}],
        "completion": [{"role": "assistant", "content": "Hello a@b-c.org"}],
        "task": json.dumps({"question": f'Mail "a@b-c.org" with password="{KEY}"', "gold": "d@b-c.org"}),
        "meta": {"a@b-c.org": [1, 2]},
    }
    redactor = Redactor()
    clean, found = redactor.row(row)
    assert clean["prompt"][0]["content"] == "I am [EMAIL_2], not [EMAIL_1]." or (
        clean["prompt"][0]["content"] == "I am [EMAIL_1], not [EMAIL_2]."
    )
    name = clean["completion"][0]["content"].removeprefix("Hello ")
    assert json.loads(clean["task"])["question"].startswith(f'Mail "{name}"')
    assert list(clean["meta"]) == [name]
    assert dict(found) == {"EMAIL": 2, "OPENAI_KEY": 1} and redactor.counts == found
    assert "b-c.org" not in json.dumps(clean) and KEY not in json.dumps(clean)


def test_either_half_can_be_left_as_it_is() -> None:
    text = f"a@b-c.org {KEY}"
    assert Redactor(personal=False).text(text) == "a@b-c.org [OPENAI_KEY_1]"
    assert Redactor(secrets=False).text(text) == f"[EMAIL_1] {KEY}"
    assert entropy("aaaa") == 0 and entropy("abcd") == 2


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "an empty answer"),
        ("Run:\n```python\nprint(1)", "a code block without an end"),
        ("<think>Hm, 4 and 3", "<think> without an end"),
    ],
)
def test_open_ends(reply: str, why: str) -> None:
    assert Cut()(asking("2+2?", reply)) == f"cut short: {why}"


def test_a_text_without_a_full_stop_is_whole() -> None:
    for reply in ("4", "so it is 4", "<think>x</think>4", "```\na\n```", "a < b and <thing>"):
        assert Cut()(asking("2+2?", reply)) is None
    assert Cut()(asking("2+2? ```", "4")) is None, "what was asked may be as it likes"


def test_a_stated_reason_counts_wherever_the_row_keeps_it() -> None:
    row = {"steps": [{"source": "agent", "message": "4", "extra": {"maieutic": {"finish_reason": "length"}}}]}
    assert Cut()(sample_of(row, "x")) == "cut short: finish reason length"
    assert Loop()(sample_of({**row, "calls": [{"finish_reason": "repetition"}]}, "x"))


def test_loops_and_tables() -> None:
    assert Loop()(asking("2+2?", "I must think about this one more time. " * 30))
    assert Loop()(asking("2+2?", "".join(f"| {n} | {n * n} |\n" for n in range(60)))) is None
