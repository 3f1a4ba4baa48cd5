"""What a person sees of the demo: the start step by step, then each trade's steps, milliseconds and amounts, live."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from solders.signature import Signature

from xorj_cli.demo import address
from xorj_cli.output import print_json, stderr, stdout
from xorj_cli.running import RunningWorld
from xorj_cli.stories import STEPS, Stories, Story

START_STEPS = 14
"""Steps that a start reports; more or fewer only make the bar end early or late."""


WIDE, WIDEST = 100, 128
"""From these widths on the milliseconds of each step and the whole signature are shown."""

SIGNATURE_COLUMN, SIGNATURE_BEGIN = 24, 9


class LiveScreen:
    """A terminal."""

    @contextmanager
    def starting(self) -> Iterator[Callable[[str, float], None]]:
        """A bar that names each part as it becomes ready."""
        columns = (TextColumn("starting the world"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=stderr, transient=True) as bar:
            task = bar.add_task("", total=START_STEPS)
            yield lambda step, ms: bar.update(task, advance=1, description=f"{step} ({ms:.0f} ms)")

    @contextmanager
    def trading(self, world: RunningWorld) -> Iterator[Callable[[Stories], None]]:
        """The table of trades, redrawn as facts arrive."""
        screen = Console(highlight=False)  # not `stdout`: the table is to fit the terminal

        def draw(stories: Stories) -> Table:
            return trades_table(world, stories, screen.width)

        with Live(draw(Stories()), console=screen, refresh_per_second=10) as live:
            yield lambda stories: live.update(draw(stories))

    def result(self, body: dict[str, Any]) -> None:
        """Verdict on trades and audit log."""
        audit = body["audit"]
        confirmed = sum(trade["status"] in {"confirmed", "finalized"} for trade in body["trades"])
        mark = "[green]ok[/]" if body["ok"] else "[red]failed[/]"
        verified = "verified" if audit["verified"] else "[red]NOT verified[/]"
        traded = {trade["vault"] for trade in body["trades"]}
        left_out = {refused["vault"] for refused in body["refused"]} - traded
        refused = f", {len(left_out)} vaults refused" if left_out else ""
        stdout.print(f"{mark}: {confirmed} trades confirmed{refused}; audit log {verified},")
        stdout.print(f"{audit['entries']} entries, head {audit['head']}")
        stdout.print(
            f"world up after {body['setup_ms'] / 1000:.1f} s, all done after {body['elapsed_ms'] / 1000:.1f} s"
        )


class JsonScreen:
    """Standard output for a program: exactly one JSON object, at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    @contextmanager
    def starting(self) -> Iterator[Callable[[str, float], None]]:
        """One line a step on standard error."""
        yield lambda step, ms: stderr.print(f"{step}: {ms:.0f} ms")

    @contextmanager
    def trading(self, world: RunningWorld) -> Iterator[Callable[[Stories], None]]:
        """One line a change of a trade on standard error."""
        seen: dict[bytes, str] = {}

        def tell(stories: Stories) -> None:
            for story in stories.trades.values():
                if seen.get(story.trade_id) != story.status:
                    seen[story.trade_id] = story.status
                    stderr.print(f"{address(story.vault)} trade {story.trade_seq}: {story.status}")

        yield tell

    def result(self, body: dict[str, Any]) -> None:
        """The object."""
        if self._as_json:
            print_json(body)
        else:
            LiveScreen().result(body)


def trades_table(world: RunningWorld, stories: Stories, width: int) -> Table:
    """Every trade with its steps, for a terminal of so many columns."""
    wide, whole_signature = width >= WIDE, width >= WIDEST
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title="trades", title_justify="left")
    for heading in ("vault", "amount in", "step", "ms by step" if wide else "ms", "expected\nrealised"):
        table.add_column(heading, vertical="top")
    table.add_column("signature", overflow="fold", max_width=SIGNATURE_COLUMN if whole_signature else SIGNATURE_BEGIN)
    for story in stories.trades.values():
        vault = address(story.vault)
        signature = address_of_signature(story.signature)
        table.add_row(
            f"{vault[:6]}\n[dim]{world.profiles.get(vault, '')}[/]" if wide else vault[:6],
            f"{amount(world, story.mint_in, story.amount_in)}\n→ {symbol(world, story.mint_out)}",
            f"[green]{story.status}[/]" if story.amount_out is not None else story.status,
            _by_step(story) if wide else str(story.latency_ms().get("total", "")),
            _amounts(world, story),
            signature if whole_signature else signature[:SIGNATURE_BEGIN],
        )
        table.add_row()
    for refusal in stories.waiting():
        vault = address(refusal.vault)
        reason = f"[yellow]{_words(refusal.reason)}[/]"
        table.add_row(vault[:6], "", *(("", reason) if wide else (reason, "")), "", "")
    return table


def _by_step(story: Story) -> str:
    """Milliseconds of each step, two steps a line, and in all."""
    latency = story.latency_ms()
    said = [f"{step} {latency[step]}" for step in STEPS if step in latency]
    if "total" in latency:
        said.append(f"[bold]total {latency['total']}[/]")
    return "\n".join("  ".join(said[i : i + 2]) for i in range(0, len(said), 2))


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def address_of_signature(signature: bytes) -> str:
    """A signature as explorers show it; empty while there is none."""
    return str(Signature(signature)) if signature else ""


def symbol(world: RunningWorld, mint: bytes) -> str:
    """The token's symbol, or the beginning of its mint."""
    text = address(mint)
    return world.symbols.get(text, text[:6])


def amount(world: RunningWorld, mint: bytes, base_units: int) -> str:
    """Base units as a decimal number of tokens with the symbol, exact."""
    decimals = world.decimals.get(address(mint), 0)
    whole, rest = divmod(base_units, 10**decimals)
    fraction = f".{rest:0{decimals}d}".rstrip("0").rstrip(".") if decimals else ""
    return f"{whole}{fraction} {symbol(world, mint)}"


def _amounts(world: RunningWorld, story: Story) -> str:
    realised = "…" if story.amount_out is None else amount(world, story.mint_out, story.amount_out)
    return f"{amount(world, story.mint_out, story.amount_out_expected)}\n{realised}"
