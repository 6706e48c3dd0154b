"""Recipes of furniture."""

import numpy as np
from numpy.random import Generator

from pointspider.clouds.sources.procedural.shapes import (
    Parts,
    around,
    ball,
    both_sides,
    box,
    corners,
    cylinder,
    draw,
    ellipse,
    frustum,
    happens,
    hollow,
    lathe,
    moved,
    prism,
    rectangle,
    rod,
    spread,
    tube,
    turned,
)


def bed(rng: Generator) -> Parts:
    """A mattress and pillows between a high head, solid or barred, and perhaps a lower foot."""
    width, length, height, head = draw(rng, (0.9, 1.6), (1.9, 2.1), (0.3, 0.42), (0.9, 1.2))
    wall = length / 2 + 0.04
    pillows = 1 if width < 1.2 else 2
    board = width + 0.1
    panel = box((board, head, 0.09), (0, 0, wall))
    bars = [box((0.07, head, 0.08), (x, 0, wall)) for x in spread(int(rng.integers(6, 9)), board)]
    rail = box((board, 0.1, 0.08), (0, head - 0.1, wall))
    foot = rng.uniform(0.5, 0.65)
    return [
        panel if happens(rng, 0.6) else [bars, rail],
        box((board, foot, 0.09), (0, 0, -wall)) if happens(rng, 0.5) else [],
        box((width, 0.16, length), (0, height - 0.12, 0)),
        box((0.95 * width, 0.16, 0.97 * length), (0, height + 0.04, 0)),
        [
            ball((0.42 * width / pillows, 0.1, 0.22), (x, height + 0.24, 0.36 * length))
            for x in spread(pillows, width)
        ],
        [cylinder(0.05, height, at) for at in corners(0.9 * width, 0.94 * length)],
    ]


def bench(rng: Generator) -> Parts:
    """Long and narrow, of planks; mostly with a back, sometimes with arms."""
    width, height, depth, back = draw(rng, (1.6, 2.1), (0.4, 0.48), (0.38, 0.48), (0.35, 0.45))
    seat = [box((width, 0.05, 0.8 * depth / 3), (0, height, z)) for z in spread(3, depth)]
    trestles = [box((0.1, height, 0.8 * depth), (x, 0, 0)) for x in (-0.38 * width, 0.38 * width)]
    legs = [box((0.08, height, 0.08), at) for at in corners(0.9 * width, 0.85 * depth)]
    if happens(rng, 0.3):
        return [seat, trestles]
    posts = [box((0.08, back, 0.06), (x, height, depth / 2)) for x in (-0.45 * width, 0.45 * width)]
    rails = [box((width, 0.09, 0.05), (0, height + y * back, depth / 2)) for y in (0.25, 0.55, 0.85)]
    elbow = box((0.07, 0.06, depth), (width / 2, height + 0.22, 0))
    arms = both_sides([elbow, box((0.07, 0.22, 0.07), (width / 2, height, -0.4 * depth))])
    leaning = turned([posts, rails], "x", rng.uniform(5, 15), (0, height, depth / 2))
    return [seat, leaning, legs if happens(rng, 0.6) else trestles, arms if happens(rng, 0.5) else []]


def bookshelf(rng: Generator) -> Parts:
    """Tall, shallow and open to the front, often to the back: shelves, some with books."""
    width, height, depth = draw(rng, (0.75, 1.2), (1.5, 1.9), (0.28, 0.4))
    count = int(rng.integers(3, 6))
    gap = height / count
    parts = hollow((width, height, depth), 0.05, "front" if happens(rng, 0.4) else "front back")
    parts += [box((width, 0.05, depth), (0, shelf * gap, 0)) for shelf in range(1, count)]
    for shelf in range(count):
        if happens(rng, 0.4):
            books, tall = rng.uniform(0.2, 0.45) * width, rng.uniform(0.5, 0.75) * gap
            parts.append(box((books, tall, 0.7 * depth), (-0.47 * width + books / 2, shelf * gap + 0.05, 0)))
    return parts


def chair(rng: Generator) -> Parts:
    """A seat with a back of three kinds, on legs or a swivel foot, with or without arms."""
    width, depth, height, back = draw(rng, (0.42, 0.52), (0.42, 0.5), (0.42, 0.5), (0.42, 0.6))
    seat = box((width, 0.06, depth), (0, height, 0))
    z = 0.46 * depth
    rest = {
        "panel": [box((width, 0.75 * back, 0.05), (0, height + 0.25 * back, z))],
        "slats": [box((0.04, back, 0.04), (x, height, z)) for x in spread(5, width)],
        "ladder": [box((width, 0.12 * back, 0.04), (0, height + y * back, z)) for y in (0.3, 0.6, 0.88)],
    }[rng.choice(["panel", "slats", "ladder"])]
    posts = [box((0.05, back, 0.05), (x, height, z)) for x in (-0.46 * width, 0.46 * width)]
    elbow = box((0.05, 0.05, 0.8 * depth), (width / 2, height + 0.22, 0))
    arms = both_sides([elbow, box((0.05, 0.22, 0.05), (width / 2, height, -0.35 * depth))])
    legs = [box((0.05, height, 0.05), at) for at in corners(0.9 * width, 0.9 * depth)]
    swivel = [cylinder(0.04, height), [rod((0, 0.08, 0), foot, 0.03) for foot in around(5, 0.28, 0.03)]]
    return [
        seat,
        turned([rest, posts], "x", rng.uniform(3, 14), (0, height, z)),
        arms if happens(rng, 0.4) else [],
        swivel if happens(rng, 0.25) else legs,
    ]


def desk(rng: Generator) -> Parts:
    """A writing table with drawers beside the knees and a panel behind them."""
    width, depth, height = draw(rng, (1.2, 1.6), (0.6, 0.75), (0.7, 0.78))
    block = rng.uniform(0.24, 0.32) * width
    sides = [1, -1] if happens(rng, 0.4) else [int(rng.choice([1, -1]))]
    drawers = int(rng.integers(2, 4))
    drawer = (0.8 * block, 0.6 * height / drawers, 0.06)
    parts: list[Parts] = [
        box((width, 0.06, depth), (0, height - 0.06, 0)),
        box((0.96 * width, 0.35 * height, 0.04), (0, 0.6 * height, 0.42 * depth)),
    ]
    for side in (1, -1):
        x = side * (width - block) / 2
        if side in sides:
            parts.append(box((block, height - 0.06, 0.85 * depth), (x, 0, 0.02)))
            for y in (spread(drawers, 0.9) + 0.5) * height - drawer[1] / 2:
                parts.append(box(drawer, (x, y, -0.44 * depth)))
        else:
            parts.append(box((0.05, height, 0.85 * depth), (side * (width / 2 - 0.04), 0, 0)))
    if happens(rng, 0.3):
        hutch = (width, rng.uniform(0.3, 0.45), 0.3 * depth)
        parts.append(hollow(hutch, 0.04, "front", (0, height, 0.33 * depth)))
    return parts


def dresser(rng: Generator) -> Parts:
    """A chest wider than tall on short feet, its front a grid of drawers."""
    width, height, depth = draw(rng, (1.1, 1.5), (0.75, 0.95), (0.45, 0.55))
    columns, rows, foot = int(rng.integers(2, 4)), int(rng.integers(2, 5)), rng.uniform(0.08, 0.16)
    body = height - foot
    front = -depth / 2
    parts = [
        box((width, body, depth), (0, foot, 0)),
        box((width + 0.1, 0.05, depth + 0.1), (0, height, -0.02)),
        [frustum(0.04, 0.07, foot, at) for at in corners(0.9 * width, 0.85 * depth)],
    ]
    for x in spread(columns, width):
        for y in spread(rows, body) + body / 2 + foot:
            drawer = (0.82 * width / columns, 0.68 * body / rows, 0.08)
            parts.append(box(drawer, (x, y - drawer[1] / 2, front - 0.04)))
            parts.append(ball(0.05, (x, y, front - 0.11)))
    return parts


def glass_box(rng: Generator) -> Parts:
    """Twelve thick edges above a floor. The panes are left out: a scanner looks through them."""
    width, height, depth = draw(rng, (0.8, 1.4), (0.6, 1.0), (0.6, 0.9))
    thickness = rng.uniform(0.05, 0.07)
    low, high = corners(width, depth), corners(width, depth, height)
    edges = list(zip(low, high, strict=True))
    edges += [(ring[a], ring[b]) for ring in (low, high) for a, b in ((0, 1), (2, 3), (0, 2), (1, 3))]
    lid = [box((width, 0.02, depth), (0, height, 0)), ball(0.09, (0, height + 0.09, 0))]
    return [
        [rod(start, end, thickness) for start, end in edges],
        box((width, 0.01, depth)),
        lid if happens(rng, 0.4) else [],
    ]


def lamp(rng: Generator) -> Parts:
    """A shade on a stem: on a table, on the floor, or at the end of a jointed arm."""
    kind = rng.choice(["table", "floor", "arm"], p=[0.4, 0.35, 0.25])
    if kind == "arm":
        elbow = np.array([rng.uniform(-0.35, -0.2), rng.uniform(0.45, 0.6), 0])
        head = np.add(elbow, (rng.uniform(0.5, 0.65), rng.uniform(0.15, 0.3), 0))
        return [
            cylinder(0.2, 0.06),
            tube([(0, 0.06, 0), elbow, head], 0.03),
            ball(0.05, elbow),
            rod(head, np.add(head, (0.14, -0.2, 0)), 0.05, 0.17),
        ]
    height, shade, top = draw(rng, (0.3, 0.4), (0.2, 0.26), (0.5, 0.8))
    if kind == "floor":
        stem = [cylinder(0.15, 0.05), cylinder(0.03, 1.0)]
        return [stem, lathe([(0.8 * shade, 0.9), (top * 0.7 * shade, 0.9 + 0.7 * height)])]
    belly = rng.uniform(0.1, 0.18)
    foot = [(0.14, 0), (belly, 0.14), (0.05, 0.34), (0.04, 0.5)]
    return [
        cylinder(0.14, 0.03),
        lathe(foot, smooth=True),
        lathe([(1.25 * shade, 0.44), (1.25 * top * shade, 0.44 + height)]),
    ]


def night_stand(rng: Generator) -> Parts:
    """Small and upright: a drawer under the top, legs and an open shelf below."""
    width, height, depth = draw(rng, (0.42, 0.52), (0.55, 0.7), (0.38, 0.46))
    drawers = int(rng.integers(1, 3))
    body = drawers * rng.uniform(0.15, 0.18)
    base = height - body
    parts = [
        box((width, body, depth), (0, base, 0)),
        box((1.15 * width, 0.04, 1.15 * depth), (0, height, 0)),
        [box((0.05, base, 0.05), at) for at in corners(0.9 * width, 0.9 * depth)],
    ]
    if happens(rng, 0.7):
        parts.append(box((width, 0.03, depth), (0, 0.35 * base, 0)))
    for y in spread(drawers, body) + base + body / 2:
        parts.append(box((0.85 * width, 0.1, 0.05), (0, y - 0.05, -depth / 2)))
        parts.append(ball(0.03, (0, y, -depth / 2 - 0.05)))
    return parts


def sofa(rng: Generator) -> Parts:
    """Deep and low, between thick arms, with two or three cushions."""
    width, depth, seat, back, arm = draw(rng, (1.6, 2.3), (0.8, 0.95), (0.4, 0.46), (0.75, 0.9), (0.18, 0.28))
    inside = width - 2 * arm
    cushions = int(rng.integers(2, 4))
    arm_height = rng.uniform(0.56, 0.66)
    rolls = [rod((arm / 2, arm_height, -depth / 2), (arm / 2, arm_height, depth / 2), 0.6 * arm)]
    arms = [box((arm, arm_height, depth), (arm / 2, 0, 0)), rolls if happens(rng, 0.4) else []]
    return [
        box((inside, 0.65 * seat, depth), (0, 0.06, 0)),
        box((width, back - 0.06, 0.26 * depth), (0, 0.06, 0.37 * depth)),
        both_sides(moved(arms, (inside / 2, 0, 0))),
        [
            box((0.94 * inside / cushions, 0.16, 0.7 * depth), (x, seat - 0.14, -0.14 * depth))
            for x in spread(cushions, inside)
        ],
        [
            ball((0.47 * inside / cushions, 0.22, 0.12), (x, seat + 0.22, 0.22 * depth))
            for x in spread(cushions, inside)
        ],
    ]


def stool(rng: Generator) -> Parts:
    """A small seat high above the floor, without a back."""
    radius, height = draw(rng, (0.16, 0.22), (0.6, 0.8))
    ring = around(9, 0.75 * radius, 0.35 * height)
    pedestal = [
        frustum(1.1 * radius, 0.05, 0.06),
        cylinder(0.045, height),
        tube([*ring, ring[0]], 0.025),
        rod((-0.75 * radius, 0.35 * height, 0), ring[0], 0.02),
    ]
    count = int(rng.integers(3, 5))
    feet, tops = around(count, 1.15 * radius, 0, 45), around(count, 0.7 * radius, height, 45)
    rungs = [around(count, r * radius, y * height, 45) for r, y in ((1.02, 0.28), (0.9, 0.55))]
    legs = [
        [rod(foot, top, 0.03) for foot, top in zip(feet, tops, strict=True)],
        [tube([*rung, rung[0]], 0.02) for rung in rungs],
    ]
    side = 1.8 * radius
    disc, square = cylinder(radius, 0.08, (0, height, 0)), box((side, 0.07, side), (0, height, 0))
    return [disc if happens(rng, 0.7) else square, pedestal if happens(rng, 0.3) else legs]


def table(rng: Generator) -> Parts:
    """A wide top on thin legs and nothing else."""
    width, depth, height = draw(rng, (1.1, 1.8), (0.75, 1.0), (0.6, 0.78))
    kind = rng.choice(["rectangular", "oval", "pedestal"], p=[0.6, 0.2, 0.2])
    if kind == "pedestal":
        return [
            cylinder(depth / 2 + 0.1, 0.06, (0, height, 0)),
            cylinder(0.06, height),
            [rod((0, 0.15, 0), foot, 0.04) for foot in around(4, 0.35, 0.04, 45)],
        ]
    outline, inset = (rectangle, 0.92) if kind == "rectangular" else (ellipse, 0.68)
    leg, splay = draw(rng, (0.035, 0.05), (1.0, 1.08))
    tops = corners(inset * width, inset * depth, height)
    legs = [rod((splay * x, 0, splay * z), (x, y, z), leg) for x, y, z in tops]
    return [prism(outline(width, depth), 0.06, "y", (0, height + 0.03, 0)), legs]


def tv_stand(rng: Generator) -> Parts:
    """Long, low and open to the front."""
    width, height, depth = draw(rng, (1.4, 1.8), (0.42, 0.56), (0.38, 0.46))
    foot = rng.uniform(0.05, 0.12)
    case = height - foot
    columns = int(rng.integers(2, 4))
    cell = width / columns
    walls = [box((0.04, case, depth), (x, foot, 0)) for x in spread(columns, width)[1:] - cell / 2]
    shelf = box((width, 0.04, depth), (0, foot + case * rng.uniform(0.4, 0.6), 0))
    doors = both_sides(box((0.9 * cell, case, 0.05), ((width - cell) / 2, foot, -depth / 2)))
    return [
        hollow((width, case, depth), 0.04, "front", (0, foot, 0)),
        box((width + 0.08, 0.04, depth + 0.06), (0, height, 0)),
        [box((0.07, foot, 0.07), at) for at in corners(0.92 * width, 0.8 * depth)],
        walls,
        doors if columns == 3 and happens(rng, 0.5) else shelf,
    ]


def wardrobe(rng: Generator) -> Parts:
    """Tall, deep and closed: doors with long handles under a cornice."""
    width, height, depth = draw(rng, (0.95, 1.4), (1.8, 2.1), (0.55, 0.65))
    doors = 2 if width < 1.2 else 3
    drawer = rng.uniform(0.25, 0.4) if happens(rng, 0.4) else 0.0
    front = -depth / 2
    leaf = height - 0.3 - drawer
    parts = [
        box((width, height, depth)),
        box((width + 0.16, 0.1, depth + 0.16), (0, height, 0)),
        box((width + 0.08, 0.1, depth + 0.08)),
    ]
    for x in spread(doors, width):
        parts.append(box((0.8 * width / doors, leaf, 0.06), (x, 0.2 + drawer, front)))
        parts.append(rod((x, 0.9, front - 0.08), (x, 1.3, front - 0.08), 0.04))
    if drawer:
        parts.append(box((0.9 * width, 0.7 * drawer, 0.08), (0, 0.15, front)))
    return parts
