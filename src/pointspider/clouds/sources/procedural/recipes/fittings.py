"""Recipes of what is built into a house, and of the tent."""

import numpy as np
from numpy.random import Generator

from pointspider.clouds.sources.procedural.shapes import (
    Parts,
    arc,
    ball,
    both_sides,
    box,
    corners,
    draw,
    ellipse,
    frustum,
    happens,
    hollow,
    lathe,
    moved,
    prism,
    pyramid,
    rectangle,
    rod,
    spread,
    stretched,
    tube,
    turned,
)


def bathtub(rng: Generator) -> Parts:
    """A long trough with a rim: oval, perhaps on claw feet, or boxed in."""
    length, width, height, wall = draw(rng, (1.5, 1.8), (0.7, 0.85), (0.45, 0.6), (0.06, 0.1))
    if happens(rng, 0.4):
        hole = ellipse(0.9 * length, 0.8 * width)
        rim = prism(rectangle(length + 0.1, width + 0.1), 0.04, "y", (0, height, 0), hole)
        return [hollow((length, height, width), wall, "top"), rim]
    shell = [(0, 0), (0.36, 0), (0.46, 0.4 * height), (0.5, height), (0.56, height), (0.56, height - 0.05)]
    inside = [(0.5, height), (0.42, 0.4 * height), (0.3, 0.06), (0, 0.06)]
    feet = [frustum(0.03, 0.07, 0.14, at) for at in corners(0.55 * length, 0.45 * width)]
    tub = stretched([lathe(shell), lathe(inside)], (length, 1, width))
    return [moved(tub, (0, 0.1, 0)), feet] if happens(rng, 0.6) else tub


def curtain(rng: Generator) -> Parts:
    """A rod with wide ends that carries wavy cloth, in one panel or two."""
    width, height, depth = draw(rng, (1.2, 1.7), (1.5, 1.9), (0.06, 0.09))
    parted = happens(rng, 0.6)
    panel = width * (rng.uniform(0.3, 0.42) if parted else 0.92)
    waves = rng.uniform(2.5, 3.5) if parted else rng.uniform(5, 8)
    x = np.linspace(-panel / 2, panel / 2, 40)
    z = depth * np.sin(2 * np.pi * waves * x / panel)
    outline = np.concatenate([np.stack([x, z], axis=1), np.stack([x, z + 0.02], axis=1)[::-1]])
    cloth = prism(outline, height, "y", (0, height / 2, 0))
    end = width / 2 + 0.12
    return [
        rod((-end, height, 0), (end, height, 0), 0.04),
        both_sides(ball(0.08, (end, height, 0))),
        both_sides(moved(cloth, ((width - panel) / 2, 0, 0))) if parted else cloth,
    ]


def door(rng: Generator) -> Parts:
    """A leaf with raised panels and a knob in a thick frame, shut or ajar."""
    width, height = draw(rng, (0.8, 1.0), (1.95, 2.15))
    panels = int(rng.integers(2, 4))
    leaf = [box((width, height, 0.05))]
    for y in (spread(panels, 0.94) + 0.5) * height:
        tall = 0.7 * height / panels
        leaf += [box((0.3 * width, tall, 0.11), (x, y - tall / 2, 0)) for x in spread(2, 0.85 * width)]
    leaf += [ball(0.08, (0.4 * width, 0.48 * height, z)) for z in (-0.1, 0.1)]
    frame = [
        both_sides(box((0.12, height + 0.12, 0.24), (width / 2 + 0.06, 0, 0))),
        box((width, 0.12, 0.24), (0, height, 0)),
    ]
    ajar = rng.uniform(20, 60) if happens(rng, 0.6) else 0.0
    return [frame, turned(leaf, "y", ajar, (-width / 2, 0, 0))]


def mantel(rng: Generator) -> Parts:
    """A fireplace: two piers and a lintel around an opening, under a wide shelf."""
    width, height, depth, pier = draw(rng, (1.3, 1.7), (1.0, 1.25), (0.22, 0.32), (0.2, 0.3))
    lintel = rng.uniform(0.2, 0.3)
    column = [box((pier, height, depth)), box((pier + 0.08, 0.14, depth + 0.08))]
    return [
        both_sides(moved(column, ((width - pier) / 2, 0, 0))),
        box((width, lintel, depth), (0, height - lintel, 0)),
        box((width + 0.25, 0.08, depth + 0.16), (0, height, -0.04)),
        box((width + 0.1, 0.05, depth + 0.35), (0, 0, -0.15)) if happens(rng, 0.6) else [],
    ]


def range_hood(rng: Generator) -> Parts:
    """A chimney over a canopy that flares towards the stove."""
    width, depth, lip, canopy, chimney = draw(
        rng, (0.8, 1.0), (0.5, 0.6), (0.06, 0.1), (0.2, 0.35), (0.35, 0.6)
    )
    flue = rng.uniform(0.24, 0.34)
    return [
        box((width, lip, depth)),
        moved(pyramid((width, depth), (flue, flue), canopy), (0, lip, 0)),
        box((flue, chimney, flue), (0, lip + canopy, 0)),
    ]


def sink(rng: Generator) -> Parts:
    """A counter with one or two basins let into it and an arched tap, or a basin on a pedestal."""
    width, depth, bowl = draw(rng, (0.9, 1.3), (0.55, 0.65), (0.18, 0.26))
    tall, reach = draw(rng, (0.26, 0.36), (0.1, 0.14))
    arch = [(0, 0), *np.add(arc(reach, reach, 0, 180, 7), (-reach, tall - reach))]
    tap = tube([(0, y, z) for z, y in arch], 0.03)
    if happens(rng, 0.25):
        basin = [(0.16, -0.05), (0.3, 0.03), (0.36, 0.2), (0.3, 0.2), (0.2, 0.06), (0, 0.05)]
        return [
            frustum(0.15, 0.1, 0.62),
            moved(stretched(lathe(basin), (1, 1, 0.8)), (0, 0.6, 0)),
            box((0.72, 0.16, 0.12), (0, 0.68, 0.26)),
            moved(tap, (0, 0.84, 0.26)),
        ]
    basins = int(rng.integers(1, 3))
    cell = width / basins
    opening = (min(0.8 * cell, 0.6), 0.62 * depth)
    parts = [moved(tap, (0, 0, 0.41 * depth)), box((0.3, 0.05, 0.06), (0, 0, 0.41 * depth))]
    for x in spread(basins, width):
        hole = rectangle(*opening) - [0, 0.06 * depth]
        parts.append(prism(rectangle(cell, depth), 0.04, "y", (x, 0, 0), hole))
        parts.append(hollow((opening[0], bowl, opening[1]), 0.015, "top", (x, -bowl, -0.06 * depth)))
    return parts


def stairs(rng: Generator) -> Parts:
    """Steps that rise towards the back, solid or on stringers, with or without railings."""
    steps, width = int(rng.integers(4, 8)), rng.uniform(0.8, 1.2)
    rise, going = draw(rng, (0.2, 0.24), (0.26, 0.32))
    top, back = steps * rise, (steps - 1) * going
    solid = happens(rng, 0.6)
    parts: list[Parts] = []
    for step in range(steps):
        height = rise * (step + 1 if solid else 0.4)
        parts.append(box((width, height, going), (0, (step + 1) * rise - height, step * going)))
    if not solid:
        slope = np.array([[-going / 2, 0], [going / 2, 0], [back + going / 2, top], [back - going / 2, top]])
        parts.append(both_sides(prism(slope, 0.06, "x", (width / 2, 0, 0))))
    for side in ([], [1], [1, -1])[rng.integers(0, 3)]:
        x = side * 0.47 * width
        parts.append(rod((x, rise + 0.6, 0), (x, top + 0.6, back), 0.05))
        for step in range(0, steps, 2):
            floor = (step + 1) * rise
            parts.append(rod((x, floor, step * going), (x, floor + 0.6, step * going), 0.03))
    return parts


def tent(rng: Generator) -> Parts:
    """A ridge tent, with or without low walls, whose front flaps are folded open."""
    width, length, height = draw(rng, (1.7, 2.3), (1.8, 2.6), (1.1, 1.5))
    wall = rng.uniform(0.2, 0.45) if happens(rng, 0.4) else 0.0
    half, front = width / 2, -length / 2
    gable = np.array([(-half, 0), (-half, wall), (0, height), (half, wall), (half, 0)])
    inner = 0.96 * gable[::-1]
    flap = prism([(-half, 0), (-half, wall), (0, height), (-0.3 * half, 0)], 0.03, "z")
    ropes = [rod((0, height, z), (0, 0, 1.4 * z), 0.025) for z in (front, -front)]
    return [
        prism(np.concatenate([gable, inner]), length, "z"),
        prism(gable, 0.03, "z", (0, 0, -front)),
        moved(both_sides(turned(flap, "y", rng.uniform(0, 25), (-half, 0, 0))), (0, 0, front)),
        rod((0, 0, front), (0, height + 0.15, front), 0.04),
        ropes if happens(rng, 0.5) else [],
    ]


def toilet(rng: Generator) -> Parts:
    """An oval bowl on a foot, the lid raised against the tank behind it."""
    width, length, height, tank = draw(rng, (0.36, 0.42), (0.46, 0.54), (0.38, 0.44), (0.34, 0.42))
    bowl = [(0.3, 0), (0.26, 0.35 * height), (0.5, 0.85 * height), (0.5, height)]
    seat = prism(ellipse(width, length), 0.05, "y", (0, height, 0), 0.7 * ellipse(width, length))
    lid = prism(np.add(ellipse(width, 0.9 * length), (0, 0.42 * length)), 0.04, "z")
    wall = 0.5 * length
    return [
        stretched(lathe(bowl, smooth=True), (width, 1, length)),
        stretched(lathe([(0.36, height), (0.2, 0.6 * height), (0, 0.5 * height)]), (width, 1, length)),
        seat,
        moved(turned(lid, "x", 8), (0, height, 0.38 * length)),
        box((1.2 * width, tank, 0.19), (0, height, wall + 0.09)),
        box((1.3 * width, 0.05, 0.23), (0, height + tank, wall + 0.09)),
        box((0.6 * width, height, 0.3), (0, 0, 0.9 * wall)),
    ]
