"""The head of the page: the question, the pick, its evidence, the next command."""

import copy
import html
import math
import re
import shlex
from pathlib import Path

import pytest

from analysis.page.answer import header, question
from analysis.page.method import facts, method
from analysis.page.page import Page
from nas.record.study import Study, read_study
from nas.verdict.pick import recommend
from tests.analysis.sample_study import sample_study

ROOT = Path(__file__).parents[3]
RECORDED = {
    "data": {"fingerprint": "f"}, "scheduler": {"name": "none"}, "sampler": {"name": "random"}, "limits": {},
    "objective": "best",
}  # fmt: skip


def study(mapping=None, **fields):
    return Study.from_dict({**(mapping or sample_study()), **RECORDED, **fields}, Path("runs/a study"))


def confirmed(gain, seeds=3):
    """The sample with fresh seeds of the reference and of trial 8, `gain` better in each."""
    mapping = sample_study()
    for seed in range(1, seeds + 1):
        for of, accuracy in ((0, 0.58), (8, 0.58 + gain)):
            row = copy.deepcopy(mapping["trials"][of])
            row |= {"number": len(mapping["trials"]), "role": "confirmation", "of": of, "seed": seed}
            row["accuracy"] = accuracy + (-1) ** (seed + of) * seed / 1000
            mapping["trials"].append(row)
    return mapping


def markup(*studies):
    return header(studies, [recommend(one) for one in studies])


def text(markup):
    """Visible text on one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup)))


def test_the_answer_is_that_of_the_one_pick():
    one = study()
    take, _, sure = recommend(one).lines[0].partition(" How sure: ")
    shown = text(markup(one))
    assert "Which ConvNet is the most accurate at 4.5 GFLOPs?" in shown
    assert take in shown and "Take trial 8 (" in take and f"How sure: {sure}" in shown
    assert "never ImageNet" in shown and "14 networks tried, 11 trained in full, 1 failed" in shown


def test_the_next_command_can_be_copied_as_it_is():
    one = study()
    command = re.search(
        r'<code id="next-0">(.*?)</code><button type="button" data-copy="next-0">', markup(one)
    )
    assert html.unescape(re.sub("<[^>]+>", "", command[1])) == recommend(one).next
    assert "runs/a study" in shlex.split(recommend(one).next)


def test_without_an_interval_there_is_no_verdict():
    shown = text(markup(study()))
    assert "How sure: no interval, by one training each" in shown
    assert "better" not in shown and "not distinguishable" not in shown
    assert "<i " not in markup(study())  # nothing is drawn where there is no interval


def test_an_interval_is_written_and_drawn():
    page = markup(study(confirmed(0.02)))
    [rival] = recommend(study(confirmed(0.02))).picks[0].rivals
    ends = (rival.difference.low, rival.difference.high)
    low, high = (f"{100 * end:+.1f}" for end in ends)
    assert f"{low} to {high}, 3 paired seeds" in text(page)
    assert page.count('<i class="bar"') == 1 and rival.verdict in text(page)
    left, width = (float(x) for x in re.search(r"left:([\d.]+)%;width:([\d.]+)%", page).groups())
    assert left >= 0 and left + width <= 100 and math.isfinite(width)


def test_two_seeds_that_do_not_decide_are_written_and_not_drawn():
    mapping = confirmed(0.002, seeds=2)
    mapping["trials"][-1]["accuracy"] += 0.03  # of trial 8 with the second seed
    page = markup(study(mapping))
    assert "two seeds give no useful interval" in text(page) and '<i class="bar"' not in page


def test_a_list_of_budgets_has_a_pick_for_each():
    mapping = sample_study()
    each = [{"text": text, "metric": "macs", "low": 1e9, "high": 5e9} for text in ("2GFLOPs", "4.5GFLOPs")]
    mapping["budget"] |= {"text": "2GFLOPs,4.5GFLOPs", "each": each}
    for i, row in enumerate(mapping["trials"]):
        row["budget"] = each[i % 2]["text"]
    one = study(mapping)
    page = markup(one)
    assert "at 2 GFLOPs and 4.5 GFLOPs?" in text(page)
    keys = re.findall(r'data-key="(\d+:\d+)"', page)
    assert keys == [f"0:{pick.tried.trial}" for pick in recommend(one).picks] and len(keys) == 2


def test_a_range_is_asked_for_its_front():
    one = study(budget={**sample_study()["budget"], "text": "1GFLOPs..9GFLOPs"}, objective="front")
    asked = "Which ConvNets are the best at every cost from 1 GFLOPs to 9 GFLOPs?"
    assert question(one) == asked


def test_several_studies_each_have_an_answer():
    studies = [study(), study(confirmed(0.02), name="other")]
    shown = text(markup(*studies))
    assert "2 studies" in shown and "other" in shown
    for one in studies:
        assert recommend(one).lines[0].partition(" How sure: ")[0] in shown


def test_what_is_known_of_a_proxy_is_said_once_of_all_studies_under_it():
    recorded = [read_study(ROOT / "studies" / name) for name in ("default", "sweep")]
    assert text(markup(*recorded)).count("agrees with ImageNet") == 1
    assert "The proxy of default and sweep:" in text(markup(*recorded))
    alone = text(markup(recorded[0]))
    assert alone.index("Next:") < alone.index("The proxy:")


def test_of_many_rivals_the_nearest_stand_there_and_the_others_are_folded():
    page = markup(read_study(ROOT / "studies" / "roadmap"))
    first, _, rest = page.partition("and 10 networks further away: 10 better")
    assert first.count("<tr") - 1 == 6 and "roadmap_t_13 less roadmap_t_16" in first
    assert "roadmap_t_13 less roadmap_t_5" in rest


def test_the_page_that_follows_a_search_does_not_propose_to_be_opened():
    mapping = sample_study()
    mapping["trials"][-1] |= {"state": "running", "accuracy": None}
    one = study(mapping)
    assert "Next:" in text(header([one], [recommend(one)]))
    assert "Next:" not in text(header([one], [recommend(one)], live=True))


def test_a_simulated_study_says_on_its_face_that_nothing_was_trained():
    mapping = sample_study()
    mapping["proxy"] |= {"name": "simulated:interacting"}
    page = markup(study(mapping))
    assert re.search(r'class="notice"[^>]*>[^<]*nothing was trained', page)
    assert page.index('class="notice"') < page.index("<h1")


def test_warnings_of_the_search_are_shown():
    assert "the disk was slow" in text(markup(study(warnings=["the disk was slow"])))


@pytest.mark.parametrize(
    "fields",
    [
        {"trials": [], "best": None, "reference": None},
        {"trials": [], "budget": {"text": "4.5GFLOPs"}, "space": {}},
        {"versions": {}, "created": None, "wall_seconds": None, "train_seconds": None},
    ],
)
def test_incomplete_records_have_a_head(fields):
    shown = text(markup(study(**fields)) + method([recommend(study(**fields))]))
    assert "None" not in shown and "nan" not in shown


def test_how_it_was_measured_can_be_read_again():
    known = dict(facts(recommend(read_study(ROOT / "studies" / "default"))))
    assert "LayerScale from 1 where there is one, stochastic depth 0, in place of" in known["Trained with"]
    assert known["Sampling error"].startswith("±") and "images" in known["Sampling error"]
    assert known["Space"] == "convnext: 2.67 billion networks"
    assert known["Budget"].startswith("4.5GFLOPs: 29.1 million networks")


def test_the_export_command_is_of_the_study():
    export = Page([study()], []).data["studies"][0]["export"]
    assert shlex.split(export) == ["python", "-m", "nas.export", "runs/a study"]


def test_the_pick_is_marked_in_the_data_of_the_page():
    assert Page([study(), study(confirmed(0.02))], []).data["picks"] == ["0:8", "1:8"]


def test_the_proxy_s_card_stands_beside_the_answer():
    recorded = read_study(ROOT / "studies" / "default")
    found = recommend(recorded)
    said = html.unescape(str(header([recorded], [found])))
    assert found.card is not None and "at tau +0.38 (90% +0.03 to +0.67)" in found.card and found.card in said
