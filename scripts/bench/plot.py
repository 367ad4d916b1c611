"""Bars as an SVG without anything to load."""

WIDTH, HEIGHT, MARGIN = 640, 320, 48


def bars(title: str, values: list[tuple[str, float]]) -> str:
    """One bar for each (name, value), with its value above and its name below."""
    top = max(value for _, value in values)
    step = (WIDTH - 2 * MARGIN) / len(values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<text x="{MARGIN}" y="16">{title}</text>',
    ]
    for number, (name, value) in enumerate(values):
        height = (HEIGHT - 2 * MARGIN) * value / top
        x, y = MARGIN + number * step, HEIGHT - MARGIN - height
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{step * 0.7:.0f}" height="{height:.0f}" fill="#4a6fa5"/>')
        parts.append(
            f'<text x="{x:.0f}" y="{y - 4:.0f}">{value:.1f}</text><text x="{x:.0f}" y="{HEIGHT - MARGIN + 16}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"])
