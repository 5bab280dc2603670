"""The layout of `--help`: commands in groups, and arguments without their Python types."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Commands(TyperGroup):
    """The commands, listed under the titles of their groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each `rich_help_panel`, with columns of the same width."""
        width = max(map(len, self.commands))
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            row = (name.ljust(width), command.short_help or "")
            groups.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append(row)
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


class Command(TyperCommand):
    """A command whose arguments are named as in its usage line."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Leave out the braces that newer versions of typer put around required arguments."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of arguments and options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                sections["Arguments"].append((parameter.metavar or record[0], record[1]))
            else:
                sections["Options"].append(record)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
