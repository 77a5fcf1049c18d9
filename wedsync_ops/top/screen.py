"""The live screen. It draws frames and asks before it acts; looking and acting happen in threads of their own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import DataTable, Footer, Static

from wedsync_ops.errors import WedsyncError
from wedsync_ops.top import words
from wedsync_ops.top.acts import Acts, job_number
from wedsync_ops.top.dialogs import Ask, Confirm, Reading
from wedsync_ops.top.gather import Watcher
from wedsync_ops.top.model import Frame

INTERRUPTED = 130
_PATIENCE_S = 2.0
"""How long a look may take before it is worth a word."""
_HELP = """\
Tab, arrows   go to a table, and to a row in it
Enter         read all of the row: a job's explanation, an error
p   pause the lane's module type, or let it go on
r   retry the group of dead letters
c   cancel a job: the one in the row, or another by its id
e   explain a job: the one in the row, or another by its id
a   acknowledge the alert
q   leave

Times are those of the last minute. A + behind a count of dead \
letters says that only the latest were counted; before a retry all \
of them are."""
_STYLES = {
    "critical": "bold red",
    "high": "yellow",
    "warning": "yellow",
    "paused": "reverse",
    "drained": "reverse",
    "SILENT": "bold yellow",
    "DEAD": "bold red",
}


class Then(Message):
    """Something to do on the screen that a thread has found out."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.work = work


class Panel(DataTable[Text]):
    """A table that keeps its cursor on the same thing while rows come and go."""

    def __init__(self, columns: Sequence[str], empty: str, *, id: str, right: Sequence[int] = ()) -> None:  # noqa: A002
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._columns = columns
        self._empty = empty
        self._right = frozenset(right)

    def on_mount(self) -> None:
        """The columns never change."""
        for name in self._columns:
            self.add_column(name)

    @property
    def selected(self) -> str | None:
        """The key of the row that the cursor is on, ``None`` in an empty table."""
        if not self.row_count or not self.is_valid_row_index(self.cursor_row):
            return None
        key = self.ordered_rows[self.cursor_row].key.value
        return key or None

    def show(self, rows: Sequence[tuple[str, words.Row]]) -> None:
        """Put other rows in place of those that are shown."""
        selected, at = self.selected, self.cursor_row
        scrolled = self.scroll_y
        self.clear()
        for key, cells in rows:
            self.add_row(*(self._cell(place, cell) for place, cell in enumerate(cells)), key=key)
        if not rows:
            self.add_row(Text(self._empty, style="dim"), *(Text() for _ in self._columns[1:]), key="")
            return
        keys = [key for key, _ in rows]
        row = keys.index(selected) if selected in keys else min(at, len(rows) - 1)
        self.move_cursor(row=row, animate=False, scroll=False)
        self.scroll_to(y=scrolled, animate=False)

    def _cell(self, place: int, cell: str) -> Text:
        style = next((style for word, style in _STYLES.items() if word in cell.split()), "") if len(cell) < 30 else ""
        return Text(cell, style=style, justify="right" if place in self._right else "left", no_wrap=True)


class Top(App[int]):
    """The screen; ``interval`` is in seconds."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; text-style: bold; }
    #season, #trouble { height: 1; }
    #trouble { text-style: bold reverse; display: none; }
    #trouble.shown { display: block; }
    #pace { height: 3; }
    .row { height: 1fr; }
    #lower { height: 1fr; max-height: 12; }
    Panel { width: 1fr; height: 100%; border: round $primary; scrollbar-size-vertical: 1;
            scrollbar-size-horizontal: 0; overflow-x: hidden; }
    #lanes { width: 46fr; }
    #crew { width: 34fr; }
    Panel:focus { border: heavy $accent; }
    .-low #season, .-low #pace { display: none; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012 - App declares it of instances
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause lane"),
        Binding("r", "retry", "Retry"),
        Binding("c", "cancel", "Cancel"),
        Binding("e", "explain", "Explain"),
        Binding("a", "acknowledge", "Ack"),
        Binding("question_mark,h", "help", "Help", key_display="?"),
        Binding("q", "leave(0)", "Quit"),
        Binding("ctrl+c", f"leave({INTERRUPTED})", "Quit", show=False, priority=True),
    ]

    def __init__(self, watcher: Watcher, acts: Acts, interval: float) -> None:
        super().__init__()
        self._watcher = watcher
        self._acts = acts
        self._interval = interval
        self._looking_since: float | None = None
        self._last: Frame | None = None

    def compose(self) -> ComposeResult:
        """Figures above, four tables below."""
        yield Static(id="head")
        yield Static(id="trouble")
        yield Static(id="season")
        yield Static(id="pace")
        with Horizontal(classes="row"):
            yield _titled(Panel(words.LANES, "nothing waits", id="lanes", right=(2, 3)), "Lanes")
            yield _titled(Panel(words.CREW, "no worker runs", id="crew", right=(2,)), "Workers")
        with Horizontal(id="lower"):
            yield _titled(Panel(words.DEAD, "none", id="dead", right=(0,)), "Dead letters")
            yield _titled(Panel(words.ALERTS, "none", id="alerts", right=(1,)), "Alerts")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look now, and then again and again."""
        self.query_one("#lanes").focus()
        self._look()
        self.set_interval(self._interval, self._look)

    def _look(self) -> None:
        if self._looking_since is None:  # a database that does not answer is asked once, not once a second
            self._looking_since = monotonic()
            self.run_worker(self._look_aside, thread=True, group="look")
        elif self._last is not None and monotonic() - self._looking_since > _PATIENCE_S:
            waited = monotonic() - self._looking_since
            self.draw(replace(self._last, trouble=f"the database has not answered for {waited:.0f} s"))

    def _look_aside(self) -> None:
        frame = self._watcher.look()
        self._then(lambda: self._looked(frame))

    def _looked(self, frame: Frame) -> None:
        self._looking_since, self._last = None, frame
        self.draw(frame)

    def draw(self, frame: Frame) -> None:
        """Show a frame."""
        width = self.size.width
        ready = self.screen_stack[0]
        ready.query_one("#head", Static).update(Text(words.head(frame, width=width), no_wrap=True, overflow="ellipsis"))
        trouble = ready.query_one("#trouble", Static)
        trouble.set_class(frame.trouble is not None, "shown")
        trouble.update(Text(f" {frame.trouble or ''} - trying again ", no_wrap=True, overflow="ellipsis"))
        said = "  ".join([words.season(frame), *words.closed(frame)])
        ready.query_one("#season", Static).update(Text(said, no_wrap=True, overflow="ellipsis"))
        ready.query_one("#pace", Static).update(Text("\n".join(words.pace(frame, width=width)), no_wrap=True))
        with self.batch_update():
            rows = {
                "lanes": words.lanes(frame),
                "crew": words.crew(frame),
                "dead": words.dead(frame),
                "alerts": words.alerts(frame),
            }
            for name, shown in rows.items():
                ready.query_one(f"#{name}", Panel).show(shown)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a row shows all of what it may have cut off."""
        key = event.row_key.value or ""
        if key.startswith("job:"):
            self._explain(int(key.removeprefix("job:")))
        elif self._last is not None and key and event.data_table.id in ("dead", "alerts"):
            self.push_screen(Reading(words.whole(self._last, key)))

    def _selected(self, panel: str) -> str | None:
        return self.query_one(f"#{panel}", Panel).selected

    def action_leave(self, code: int) -> None:
        """Leave with an exit code."""
        self.exit(code, return_code=code)

    def action_help(self) -> None:
        """Say what the keys do."""
        self.push_screen(Reading(_HELP))

    def action_pause(self) -> None:
        """Pause the selected lane's module type, or resume it."""
        selected = self._selected("lanes")
        if selected is None:
            self.notify("there is no lane to pause")
            return
        module_type = selected.partition("/")[0]

        def ask() -> None:
            if self._acts.is_closed(module_type):
                self._ask(f"Let {module_type} go on?", lambda: self._acts.resume(module_type))
            else:
                question = f"Pause {module_type}? Nothing of it starts until it goes on; it can still be queued."
                self._ask(question, lambda: self._acts.pause(module_type))

        self._aside(ask)

    def action_retry(self) -> None:
        """Retry the selected group of dead letters."""
        selected = self._selected("dead")
        if selected is None:
            self.notify("there are no dead letters")
            return
        module_type, _, fingerprint = selected.partition("/")

        def ask() -> None:
            count = self._acts.dead(module_type, fingerprint)
            question = f"Queue {count:,} dead letters of {module_type} again, the soonest wedding first?"
            self._ask(question, lambda: self._acts.retry(module_type, fingerprint))

        self._aside(ask)

    def action_acknowledge(self) -> None:
        """Acknowledge the selected alert."""
        selected = self._selected("alerts")
        if selected is None:
            self.notify("there is no alert")
            return
        self._confirm(f"Acknowledge alert {selected}?", lambda: self._acts.acknowledge(int(selected)))

    def action_cancel(self) -> None:
        """Cancel a job."""

        def chosen(job_id: int) -> None:
            question = f"Cancel job {job_id}? If it runs, it is broken off."
            self._confirm(question, lambda: self._acts.cancel(job_id))

        self._choose_job("Cancel which job?", chosen)

    def action_explain(self) -> None:
        """Explain a job."""
        self._choose_job("Explain which job?", self._explain)

    def _explain(self, job_id: int) -> None:
        def work() -> None:
            said = self._acts.explain(job_id)
            self._then(lambda: self.push_screen(Reading(said)))

        self._aside(work)

    def _choose_job(self, question: str, chosen: Callable[[int], None]) -> None:
        selected = self._selected("crew") or ""
        suggestion = selected.removeprefix("job:") if selected.startswith("job:") else ""

        def answered(text: str | None) -> None:
            if text is None:
                return
            try:
                job_id = job_number(text)
            except WedsyncError as error:
                self.notify(str(error), severity="error")
                return
            chosen(job_id)

        self.push_screen(Ask(question, suggestion), answered)

    def _ask(self, question: str, act: Callable[[], str]) -> None:
        self._then(lambda: self._confirm(question, act))

    def _confirm(self, question: str, act: Callable[[], str]) -> None:
        def answered(yes: bool | None) -> None:  # noqa: FBT001 - what a dialog hands over
            if yes:
                self._aside(lambda: self._done(act()))

        self.push_screen(Confirm(question), answered)

    def _done(self, said: str) -> None:
        self._watcher.soon()
        self._then(lambda: self.notify(said, markup=False))
        self._then(self._look)

    def _aside(self, work: Callable[[], object]) -> None:
        """Do something in a thread of its own; what refuses it is shown."""

        def guarded() -> None:
            try:
                work()
            except WedsyncError as error:
                refusal = str(error)
                self._then(lambda: self.notify(refusal, severity="error", markup=False))

        self.run_worker(guarded, thread=True, group="act")

    def _then(self, work: Callable[[], object]) -> None:
        """From a thread: do something on the screen, unless it has been left meanwhile. Never waits."""
        self.post_message(Then(work))

    def on_then(self, message: Then) -> None:
        """Do it."""
        if self.is_running and self.screen_stack and self.screen_stack[0].query("#head"):
            message.work()


def _titled(panel: Panel, title: str) -> Panel:
    panel.border_title = title
    return panel
