"""Stored customisations, and what registering, replacing and deleting do to them."""

from sqlalchemy import text

from tests.stores.rows import NOW
from wedsync_ops.db import Database
from wedsync_ops.modules import store
from wedsync_ops.modules.registry import CustomisationKey, Registry

VENUE: CustomisationKey = ("vendor_type", "venue", "email")
SUPPLIER: CustomisationKey = ("supplier", "s1", "email")


def load(database: Database) -> Registry:
    with database.reading() as connection:
        return store.load(connection)


def test_one_row_for_each_scope_name_and_module(database: Database) -> None:
    others: list[CustomisationKey] = [("supplier", "venue", "email"), ("supplier", "s1", "info"), SUPPLIER]
    with database.transaction() as connection:
        store.customise(connection, VENUE, '{"priority":"low"}', NOW)
        for key in others:
            store.customise(connection, key, '{"priority":"high"}', NOW)
        store.customise(connection, VENUE, '{"priority":"critical"}', NOW + 1)
        times = connection.execute(text("SELECT updated_at FROM customisations ORDER BY updated_at DESC")).scalars()
        assert list(times) == [NOW + 1, NOW, NOW, NOW]
    registry = load(database)
    assert registry.customisations.keys() == {VENUE, *others}
    assert registry.customisation(VENUE).priority == "critical"


def test_deleting_says_whether_there_was_one(database: Database) -> None:
    with database.transaction() as connection:
        store.customise(connection, VENUE, "{}", NOW)
        store.customise(connection, SUPPLIER, "{}", NOW)
        assert store.uncustomise(connection, VENUE)
        assert not store.uncustomise(connection, VENUE)
    assert load(database).customisations == {SUPPLIER: "{}"}


def test_text_comes_back_as_it_went_in(database: Database) -> None:
    name, content = "Zoë's “Ateljé” % :name 💍", '{"config":{"subject_override":"{{ couple_name }} :x %s 💍"}}'
    with database.transaction() as connection:
        store.customise(connection, ("supplier", name, "email"), content, NOW)
    registry = load(database)
    assert registry.customisations == {("supplier", name, "email"): content}
    found = registry.overrides("email", None, name)
    assert found is not None
    assert found.config == {"subject_override": "{{ couple_name }} :x %s 💍"}


def test_layers_are_looked_up_by_vendor_type_and_supplier(database: Database) -> None:
    with database.transaction() as connection:
        store.customise(connection, VENUE, '{"config":{"a":1,"m":{"x":1}}}', NOW)
        store.customise(connection, SUPPLIER, '{"config":{"m":{"y":2}}}', NOW)
    registry = load(database)
    assert registry.overrides("email", "florist", "s2") is None
    assert registry.overrides("email", None, None) is None
    assert registry.overrides("info", "venue", "s1") is None
    both = registry.overrides("email", "venue", "s1")
    assert both is not None
    assert both.config == {"a": 1, "m": {"x": 1, "y": 2}}
    assert registry.overrides("email", "venue", "s1") is both
    alone = registry.overrides("email", "venue", "s2")
    assert alone is not None
    assert alone.config == {"a": 1, "m": {"x": 1}}
