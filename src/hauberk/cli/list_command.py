"""`hauberk list`: the catalogues, read from the files' cards without importing them."""

from __future__ import annotations

import click

from hauberk.core import plugins

_NEEDS = {"gradients": "gradients", "module": "gradients", "trees": "trees", "scores": "scores"}
"""What evasion attacks are listed by: the first of these powers they need."""


@click.command("list")
@click.argument("family", required=False, type=click.Choice([*plugins.FAMILIES, "threats"]))
@click.argument("name", required=False)
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
def command(family: str | None, name: str | None, form: str) -> None:
    """List a FAMILY of plug-ins, or one plug-in's card and settings.

    \b
    hauberk list                      the families and how many plug-ins each has
    hauberk list attacks              every attack by family and what it needs, with title and norms
    hauberk list attacks evasion.pgd  what it is, what it needs, its settings
    hauberk list threats              the presets of attackers
    """
    if family is None:
        rows = [(key, f"{len(plugins.catalog(key))} plug-ins") for key in plugins.FAMILIES]
        _print([*rows, ("threats", "presets of attackers")], form)
    elif family == "threats":
        from hauberk.core.threat import PRESETS

        _print([(key, _threat(value)) for key, value in PRESETS.items()], form)
    elif name is None and form == "terminal":
        _print_groups(plugins.catalog(family))
    elif name is None:
        _print([(entry.name, entry.card.title) for entry in plugins.catalog(family)], form)
    else:
        _print(_one(family, name), form)


def _print_groups(entries: tuple[plugins.Listing, ...]) -> None:
    """Print a catalogue group by group: name, title, and the balls and other sets it works in."""
    parts: dict[str, list[plugins.Listing]] = {}
    for entry in entries:
        parts.setdefault(_heading(entry), []).append(entry)
    for heading in sorted(parts):
        names, titles = (max(map(len, column)) for column in zip(*map(_words, parts[heading]), strict=True))
        if heading:
            click.echo(heading)
        for entry in parts[heading]:
            name, title = _words(entry)
            click.echo(f"{name:<{names}}  {title:<{titles}}  {_sets(entry)}".rstrip())
        if heading != max(parts):
            click.echo()


def _heading(entry: plugins.Listing) -> str:
    """Name the group an entry is listed in, empty in a catalogue without any."""
    if entry.name.startswith("evasion."):
        word = next((word for power, word in _NEEDS.items() if power in entry.card.needs), "labels only")
        return f"evasion, needs {word}"
    return entry.name.rpartition(".")[0]


def _words(entry: plugins.Listing) -> tuple[str, str]:
    indent = "  " if "." in entry.name else ""
    return indent + entry.name, entry.card.title


def _sets(entry: plugins.Listing) -> str:
    from hauberk.core.threat import NORMS

    found = [norm for norm in NORMS if norm in entry.card.norms] + list(entry.card.sets)
    return " ".join(found or (["constraints"] if entry.name.startswith("evasion.") else []))


def _threat(threat: object) -> str:
    import msgspec

    fields = msgspec.to_builtins(threat)
    ball = fields.get("ball")
    words = [fields["family"], fields["knowledge"], f"{ball['norm']} ≤ {ball['radius']:.4g}" if ball else ""]
    words += [f"{fields['queries']} queries" if fields["queries"] else ""]
    words += [f"{fields['poison_rate']:.0%} of the rows" if fields["poison_rate"] else ""]
    return ", ".join(word for word in words if word)


def _one(family: str, name: str) -> list[tuple[str, str]]:
    entry = plugins.listing(family, name)
    card = entry.card
    rows = [("name", entry.name), ("title", card.title), ("summary", card.summary), ("source", card.paper)]
    rows += [
        (key, ", ".join(getattr(card, key))) for key in ("needs", "norms", "sets", "inputs", "threats", "suffixes")
    ]
    rows += [("finds", "the nearest error, rather than any inside the ball" if card.nearest else "")]
    rows += [("severity", card.severity), ("module", f"{entry.module}.{entry.symbol}")]
    kind = plugins.load(family, name)
    rows += [(f"setting {knob.name}", f"{knob.type} = {knob.default!r}") for knob in plugins.knobs(kind)]
    return [(key, value) for key, value in rows if value]


def _print(rows: list[tuple[str, str]], form: str) -> None:
    if form == "json":
        import msgspec

        click.echo(msgspec.json.encode(dict(rows)))
        return
    width = max((len(key) for key, _ in rows), default=0)
    for key, value in rows:
        click.echo(f"{key:<{width}}  {value}")
