"""What a terminal showed -> SVG: ``tmux capture-pane -ep | python docs/images/draw.py > demo.svg``."""

from __future__ import annotations

import io
import re
import sys

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

FONTS = "Fira Code, ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"

shown = sys.stdin.read().rstrip().removesuffix("$").rstrip()
lines = [Text.from_ansi(line) for line in shown.splitlines()]
console = Console(record=True, width=max(map(len, lines)) + 1, file=io.StringIO())
for line in lines:
    console.print(line, highlight=False)
title = lines[0].plain.removeprefix("$ ")
drawn = console.export_svg(title=title, theme=MONOKAI, unique_id="terminal")
# A picture that fetches fonts from the net is shown without them in most places anyway.
drawn = re.sub(r"@font-face\s*\{.*?\}\s*", "", drawn, flags=re.DOTALL)
sys.stdout.write(drawn.replace("Fira Code, monospace", FONTS))
