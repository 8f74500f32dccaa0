"""Write the catalogue pages from the plug-ins' cards and the command-line page from the commands' help.

--check only compares.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import benchmark_tables
import click
import msgspec

from hauberk.cli.main import COMMANDS, cli
from hauberk.core import plugins, policy, project
from hauberk.core.threat import PRESETS, Patch, Transform

FOLDER = Path(__file__).resolve().parent / "catalogue"
NOTE = "<!-- Written by docs/generate.py from the cards; edit the plug-ins, then `make docs`. -->\n"
RESULTS_NOTE = "<!-- Written by docs/generate.py from benchmarks/results; run the benchmarks, then `make docs`. -->\n"
INTRO = {
    "attacks": "Every attack is one file; its path is its name. "
    "Settings are changed with `--set name=value` or in `[threats.NAME.settings]`.",
    "defenses": "A defense takes a target and gives a harder one, which can be attacked at once.",
    "rules": "A rule reads what a format found. "
    "Switch one off with `[scan] rules_off`, live with one finding by `[[policy.accept]]`.",
    "formats": "A format turns bytes into facts and judges nothing. Content decides, not the file's ending.",
    "targets": "Ways to reach the model under test, chosen by `[model] source` or `kind`.",
    "datasets": "Ways to reach labelled data, chosen by `[data] source` or `kind`.",
    "outputs": "What a report can be written as.",
}

SECTIONS = {
    "top level": project.Project,
    "[model]": project.ModelSection,
    "[model.http]": project.HttpSection,
    "[data]": project.DataSection,
    "[data.columns.NAME]": project.ColumnSection,
    "[threats.NAME]": project.ThreatSection,
    "[threats.NAME.patch]": Patch,
    "[threats.NAME.transform]": Transform,
    "[policy]": policy.Policy,
    "[[policy.require]]": policy.Requirement,
    "[[policy.accept]]": policy.Acceptance,
    "[scan]": project.ScanSection,
    "[report]": project.ReportSection,
    "[store]": project.StoreSection,
    "[run]": project.RunSection,
}


def page(family: str) -> str:
    """Word one catalogue page."""
    entries = plugins.catalog(family)
    rows = [NOTE, f"# {family.capitalize()}\n", INTRO[family], "", f"{len(entries)} so far.", ""]
    rows += ["| name | what |", "|---|---|"]
    rows += [f"| [`{entry.name}`](#{anchor(entry.name)}) | {entry.card.title} |" for entry in entries]
    for entry in entries:
        rows += ["", *section(entry)]
    if family == "attacks":
        rows += ["", "## Presets of attackers", "", "| name | ball | knowledge | queries |", "|---|---|---|---|"]
        for name, threat in PRESETS.items():
            ball = f"{threat.ball.norm} ≤ {threat.ball.radius:.4g}" if threat.ball else "–"
            rows.append(f"| `{name}` | {ball} | {threat.knowledge} | {threat.queries or '–'} |")
    return "\n".join(rows) + "\n"


def anchor(name: str) -> str:
    """Make the anchor that the headings get."""
    return re.sub(r"[^\w-]", "", name.lower())


def section(entry: plugins.Listing) -> list[str]:
    """Word one plug-in: card, settings, docstring."""
    card = entry.card
    kind = plugins.load(entry.family, entry.name)
    rows = [f"## {entry.name} {{: #{anchor(entry.name)} }}", "", card.summary, ""]
    facts = [("Source", card.paper), ("Severity", card.severity)]
    facts += [("Needs", ", ".join(card.needs)), ("Balls", ", ".join(card.norms)), ("Sets", ", ".join(card.sets))]
    facts += [("Inputs", ", ".join(card.inputs))]
    facts += [("Standards", ", ".join(card.threats)), ("Endings", ", ".join(f"`{one}`" for one in card.suffixes))]
    rows += [f"- **{key}:** {value}" for key, value in facts if value]
    rows += ["", *docstring(kind)]
    if plugins.knobs(kind):
        rows += ["", "| setting | type | default |", "|---|---|---|"]
        rows += [
            f"| `{knob.name}` | `{knob.type.replace('|', '/')}` | `{knob.default!r}` |" for knob in plugins.knobs(kind)
        ]
    return rows


def docstring(kind: type) -> list[str]:
    """Quote the class's docstring below its first line."""
    text = inspect.getdoc(kind) or ""
    return ["```text", text.strip(), "```"]


def command_line() -> str:
    """Word the command-line page from the help of every command."""
    rows = [NOTE, "# Command line\n"]
    context = click.Context(cli, info_name="hauberk", max_content_width=100, terminal_width=100)
    rows += ["```text", cli.get_help(context), "```"]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        rows += ["", f"## hauberk {name}", ""]
        rows += helps(command, context, name)
    return "\n".join(rows) + "\n"


def helps(command: click.Command, parent: click.Context, name: str) -> list[str]:
    """Give a command's help, and its sub-commands'."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    rows = ["```text", command.get_help(context), "```"]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            inner = command.get_command(context, sub)
            assert inner is not None
            rows += ["", *helps(inner, context, sub)]
    return rows


def project_file() -> str:
    """Word the reference of hauberk.toml from the records it is read into."""
    rows = [NOTE, "# The keys of hauberk.toml\n"]
    rows += [
        "An unknown key is refused, with the nearest valid one. See [the chapter](../project-file.md) for a walk.",
        "",
    ]
    for title, kind in SECTIONS.items():
        rows += [f"## {title}", "", "```text", inspect.cleandoc(kind.__doc__ or ""), "```", ""]
        rows += ["| key | default |", "|---|---|"]
        for field in msgspec.structs.fields(kind):
            default = "required" if field.required else f"`{plain(field)}`"
            rows.append(f"| `{field.encode_name}` | {default} |")
        rows.append("")
    return "\n".join(rows).rstrip() + "\n"


def plain(field: msgspec.structs.FieldInfo) -> str:
    """Word a default as TOML would, nested tables as theirs."""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct) or value in ((), {}):
        return "–"
    return "none" if value is None else msgspec.json.encode(value).decode()


def pages() -> dict[Path, str]:
    """Word every generated page."""
    made = {FOLDER / f"{family}.md": page(family) for family in INTRO}
    made[FOLDER / "keys.md"] = project_file()
    made[FOLDER / "cli.md"] = command_line()
    made[FOLDER.parent / "benchmarks.md"] = benchmark_tables.page(RESULTS_NOTE)
    return made


def main() -> int:
    """Write the pages, or with --check say which are stale."""
    stale = []
    for path, text in pages().items():
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"stale: {', '.join(stale)}; run `make docs`")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
