"""A bar chart as a self-contained SVG."""

import html

WIDTH, HEIGHT, MARGIN = 640, 320, 48


def bars(title: str, values: list[tuple[str, float]]) -> str:
    """One bar for each (name, value), with its value above and its name below."""
    top = max(value for _, value in values)
    step = (WIDTH - 2 * MARGIN) / len(values)
    view = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [f'<svg {view} font-family="sans-serif" font-size="12">', _text(MARGIN, 16, title)]
    for number, (name, value) in enumerate(values):
        height = (HEIGHT - 2 * MARGIN) * value / top
        x, y = MARGIN + number * step, HEIGHT - MARGIN - height
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{step * 0.7:.0f}" height="{height:.0f}" fill="#4a6fa5"/>')
        parts += [_text(x, y - 4, f"{value:.1f}"), _text(x, HEIGHT - MARGIN + 16, name)]
    return "\n".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{html.escape(text)}</text>'
