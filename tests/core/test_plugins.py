"""Plug-ins are found on disk, and what the catalogue says is what the file says."""

import pytest

from hauberk.core import plugins
from hauberk.core.errors import UnknownName, UsageError

EVERY = [entry for family in plugins.FAMILIES for entry in plugins.catalog(family)]


@pytest.mark.parametrize("entry", EVERY, ids=lambda entry: f"{entry.family}:{entry.name}")
def test_the_card_in_the_text_is_the_card_of_the_class(entry):
    kind = plugins.load(entry.family, entry.name)
    assert kind.card == entry.card
    assert entry.card.title
    assert entry.card.summary.endswith(".")
    assert kind.__doc__


def test_one_plugin_a_file():
    modules = [entry.module for entry in EVERY]
    assert len(modules) == len(set(modules))


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match=r"evasion\.pgd"):
        plugins.listing("attacks", "evasion.pgdd")
    with pytest.raises(UnknownName, match="attacks"):
        plugins.catalog("attack")


def test_settings_are_the_fields():
    attack = plugins.build("attacks", "evasion.pgd", {"steps": 7})
    assert attack.steps == 7
    assert {"name": "steps", "value": 7} in [{"name": s.name, "value": s.value} for s in plugins.settings_of(attack)]


def test_a_record_inside_is_set_by_dotted_names_or_a_table():
    dotted = plugins.build("attacks", "evasion.pgd", {"driving.draws": 20, "driving.precision": "float32"})
    table = plugins.build("attacks", "evasion.pgd", {"driving": {"draws": 20, "precision": "float32"}})
    assert dotted == table
    assert (dotted.driving.draws, dotted.driving.precision, dotted.driving.early_stop) == (20, "float32", True)
    assert ("driving.draws", 20) in [(row.name, row.value) for row in plugins.settings_of(dotted)]
    assert ("driving.draws", 1) in [(knob.name, knob.default) for knob in plugins.knobs(type(dotted))]
    with pytest.raises(UsageError, match=r'(?s)no setting "driving\.draw".*driving\.draws'):
        plugins.build("attacks", "evasion.pgd", {"driving.draw": 20})
    with pytest.raises(UsageError, match="no setting"):
        plugins.build("attacks", "evasion.pgd", {"driving": 20})
    with pytest.raises(UsageError, match="int"):
        plugins.build("attacks", "evasion.pgd", {"driving.draws": "many"})


def test_a_record_inside_keeps_the_plugins_own_defaults():
    usual = plugins.build("attacks", "evasion.transfer")
    assert not usual.driving.early_stop
    assert not plugins.build("attacks", "evasion.transfer", {"driving.draws": 2}).driving.early_stop


def test_a_wrong_setting_offers_the_nearest():
    with pytest.raises(UsageError, match="steps"):
        plugins.build("attacks", "evasion.pgd", {"step": 7})
    with pytest.raises(UsageError, match="int"):
        plugins.build("attacks", "evasion.pgd", {"steps": "many"})
