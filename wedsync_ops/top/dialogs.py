"""What lies over the screen for a moment: a question, a field, a text."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

_BOX = """
    align: center middle;
    &> .box {
        width: 70; max-width: 95%; height: auto; max-height: 90%;
        border: round $primary; padding: 1 2; background: $surface;
    }
"""


class Confirm(ModalScreen[bool]):
    """A question that y answers with yes; n, Escape and q with no. Enter does nothing: a slip must not confirm."""

    DEFAULT_CSS = f"Confirm {{{_BOX}}}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """The question in a box."""
        with Vertical(classes="box"):
            yield Static(Text(self.question))
            yield Static(Text("\n[y] yes   [n] no"))

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - called by name, from a key
        """Close with an answer."""
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """A question that a line of text answers; Escape is no answer."""

    DEFAULT_CSS = f"Ask {{{_BOX}}}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, question: str, suggestion: str) -> None:
        super().__init__()
        self.question = question
        self.suggestion = suggestion

    def compose(self) -> ComposeResult:
        """The question over a field that holds the suggestion."""
        with Vertical(classes="box"):
            yield Static(Text(self.question))
            yield Input(self.suggestion, type="integer", max_length=19, select_on_focus=True)
            yield Static(Text("[Enter] go on   [Esc] leave"))

    def on_mount(self) -> None:
        """The field takes the keys."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with what was entered."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class Reading(ModalScreen[None]):
    """A text to read; any of the keys closes it."""

    DEFAULT_CSS = f"Reading {{{_BOX}}}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,space", "leave", "close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        """The text in a box that scrolls."""
        with VerticalScroll(classes="box"):
            yield Static(Text(self.text))
            yield Static(Text("\n[Esc] close"))

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
