"""Draws pictures that are not photographs, for training: `python docs/models/drawings.py FOLDER 400`.

They are PNG files of text pages, charts, program windows and shapes. With `screens` as a third argument, there are also
tables and listings, and most pictures are white. The number of a picture determines it, for one version of Pillow.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Random = np.random.Generator
Color = tuple[int, int, int]
Kind = Callable[[Random, ImageDraw.ImageDraw, int, int], None]
SIDES = (384, 640)
WHITE = 0.8  # share of white pictures among the pictures for `screens` that are not dark
VOWELS, CONSONANTS = "aeiou", "bcdfghklmnprstvw"


def main(folder: Path, count: int, *, screens: bool = False) -> None:
    """Draw `count` pictures into a folder. screens: also draw tables and listings, and mostly on white."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: list[Kind] = [text_page, chart, window, shapes, *([table, listing] if screens else [])]
    for number in range(count):
        random = np.random.default_rng(number)
        width, height = (int(side) for side in random.integers(*SIDES, 2))
        dark = random.random() < 0.25
        paper = shade(random, 0, 40) if dark else shade(random, 215, 256)
        if screens and not dark and random.random() < WHITE:
            paper = (255, 255, 255)
        image = Image.new("RGB", (width, height), paper)
        kinds[number % len(kinds)](random, ImageDraw.Draw(image), width, height)
        image.save(folder / f"{'screen' if screens else 'drawing'}-{number:04}.png")


def text_page(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Paragraphs below a heading."""
    ink = contrast(random, draw)
    size = int(random.integers(10, 22))
    margin = int(random.integers(8, 40))
    draw.text((margin, margin), words(random, 3).title(), fill=ink, font=font(size * 2))
    y = margin + 3 * size
    while y < height - margin:
        accented = ink if random.random() < 0.9 else bright(random)
        draw.text((margin, y), words(random, 40), fill=accented, font=font(size))
        y += round(size * 1.4) + (size if random.random() < 0.15 else 0)
    draw.rectangle((width - margin, 0, width, height), fill=draw.im.getpixel((0, 0)))


def chart(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Bars or curves between labelled axes."""
    ink = contrast(random, draw)
    left, top, right, bottom = 48, 32, width - 16, height - 40
    draw.text((left, 6), words(random, 4).capitalize(), fill=ink, font=font(15))
    for y in np.linspace(top, bottom, int(random.integers(4, 9))):
        draw.line((left, y, right, y), fill=mixed(random, ink))
        draw.text((6, y - 6), f"{(bottom - y) / 10:.0f}", fill=ink, font=font(11))
    draw.line((left, top, left, bottom, right, bottom), fill=ink, width=2)
    count = int(random.integers(4, 14))
    places = np.linspace(left, right, count + 1)
    for color in (bright(random) for _ in range(int(random.integers(1, 4)))):
        values = bottom - 2 - random.random(count) * (bottom - top)
        if random.random() < 0.5:
            for x, y in zip(places, values, strict=False):
                draw.rectangle((x + 6, y, x + (right - left) / count - 6, bottom - 1), fill=color)
        else:
            points = list(zip(places[:-1].tolist(), values.tolist(), strict=True))
            draw.line(points, fill=color, width=int(random.integers(1, 4)), joint="curve")
            for x, y in points:
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=color, fill=draw.im.getpixel((0, 0)))


def window(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """A title bar, a list at the left, and fields and buttons beside it."""
    ink, accent = contrast(random, draw), bright(random)
    draw.rectangle((0, 0, width, 28), fill=accent)
    draw.text((10, 6), words(random, 2).title(), fill=(255, 255, 255), font=font(14))
    for place in range(3):
        draw.ellipse((width - 20 - 18 * place, 9, width - 10 - 18 * place, 19), fill=bright(random))
    side = int(random.integers(100, 180))
    draw.rectangle((0, 29, side, height), fill=mixed(random, ink))
    for y in range(40, height - 16, 24):
        if random.random() < 0.15:
            draw.rectangle((4, y - 3, side - 4, y + 18), fill=accent)
        draw.text((12, y), words(random, 2), fill=ink, font=font(12))
    for y in range(48, height - 40, 52):
        draw.text((side + 16, y - 2), words(random, 2).capitalize(), fill=ink, font=font(12))
        draw.rounded_rectangle((side + 16, y + 14, width - 20, y + 38), 4, outline=mixed(random, ink), fill=None)
        draw.text((side + 22, y + 19), words(random, 4), fill=ink, font=font(12))
    draw.rounded_rectangle((width - 110, height - 34, width - 14, height - 8), 6, fill=accent)
    draw.text((width - 96, height - 28), words(random, 1).title(), fill=(255, 255, 255), font=font(13))


def shapes(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Filled and outlined shapes over each other."""
    for _ in range(int(random.integers(6, 40))):
        x, y = random.integers(-40, width), random.integers(-40, height)
        box = (int(x), int(y), int(x + random.integers(4, 220)), int(y + random.integers(4, 220)))
        fill = bright(random) if random.random() < 0.7 else None
        outline, line = bright(random), int(random.integers(1, 6))
        kind = random.integers(4)
        if kind == 0:
            draw.rectangle(box, fill=fill, outline=outline, width=line)
        elif kind == 1:
            draw.ellipse(box, fill=fill, outline=outline, width=line)
        elif kind == 2:
            corners = random.integers(-100, 100, (int(random.integers(3, 7)), 2)) + np.array([x, y])
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=fill, outline=outline)
        else:
            draw.text(box[:2], words(random, 2), fill=outline, font=font(int(random.integers(12, 60))))


def table(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Numbers in cells with thin lines, under a colored heading."""
    ink, size = contrast(random, draw), int(random.integers(10, 16))
    line, stripe = mixed(random, ink), tuple(int(0.96 * level) for level in draw.im.getpixel((0, 0)))
    row, column = size + int(random.integers(5, 14)), int(random.integers(50, 120))
    draw.rectangle((0, 0, width, row), fill=bright(random))
    for y in range(row, height, row):
        if y // row % 2 and random.random() < 0.9:
            draw.rectangle((0, y, width, y + row), fill=stripe)
        draw.line((0, y, width, y), fill=line)
        for right in range(column, width + column, column):
            number = f"{random.integers(10 ** int(random.integers(1, 7)))}"
            draw.text((right - 5, y + row // 2), number, fill=ink, font=font(size), anchor="rm")
    for x in range(column, width, column):
        draw.line((x, 0, x, height), fill=line)


def listing(random: Random, draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """Indented lines with words of several colors, like programs in an editor."""
    ink, size = contrast(random, draw), int(random.integers(10, 18))
    colors = [ink, *(vivid(random, ink) for _ in range(4))]
    indent = 0
    for y in range(6, height, round(size * 1.35)):
        indent = int(np.clip(indent + random.integers(-1, 2), 0, 5))
        x = 8.0 + 2 * size * indent
        while x < width - 60 and random.random() < 0.85:
            word = words(random, 1) + str(random.choice(list(" :(),.=")))
            draw.text((x, y), word, fill=colors[int(random.integers(5))], font=font(size))
            x += draw.textlength(word + " ", font=font(size))


def words(random: Random, count: int) -> str:
    """Words of random letters."""
    letters = (VOWELS, CONSONANTS)
    first = random.integers(2, size=count)
    lengths = random.integers(2, 10, count)
    return " ".join(
        "".join(str(random.choice(list(letters[(start + place) % 2]))) for place in range(length))
        for start, length in zip(first, lengths, strict=True)
    )


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def shade(random: Random, low: int, high: int) -> Color:
    """A color that is nearly gray."""
    middle = int(random.integers(low, high))
    red, green, blue = np.clip(middle + random.integers(-8, 9, 3), 0, 255).tolist()
    return red, green, blue


def bright(random: Random) -> Color:
    """Any color."""
    red, green, blue = random.integers(0, 256, 3).tolist()
    return red, green, blue


def contrast(random: Random, draw: ImageDraw.ImageDraw) -> Color:
    """A color for text that is easily read on the background."""
    return shade(random, 0, 70) if sum(draw.im.getpixel((0, 0))) > 382 else shade(random, 190, 256)


def vivid(random: Random, ink: Color) -> Color:
    """A color about as dark or as bright as the text."""
    red, green, blue = ((each + 2 * level) // 3 for each, level in zip(bright(random), ink, strict=True))
    return red, green, blue


def mixed(random: Random, ink: Color) -> Color:
    """A color between the text color and middle gray."""
    share = random.random() * 0.5 + 0.2
    red, green, blue = (round(share * each + (1 - share) * 128) for each in ink)
    return red, green, blue


if __name__ == "__main__":
    if sys.argv[3:] not in ([], ["screens"]):
        raise SystemExit(f"the third argument can only be screens, not {' '.join(sys.argv[3:])}.")
    main(Path(sys.argv[1]), int(sys.argv[2]), screens=len(sys.argv) > 3)
