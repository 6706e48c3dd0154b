"""Recipes of vessels, vehicles, devices and living things."""

import numpy as np
from numpy.random import Generator

from pointspider.clouds.sources.procedural.shapes import (
    Parts,
    arc,
    around,
    ball,
    both_sides,
    box,
    corners,
    cylinder,
    draw,
    frustum,
    happens,
    lathe,
    moved,
    prism,
    pyramid,
    rectangle,
    ribbon,
    rod,
    spread,
    stretched,
    tube,
    turned,
)


def airplane(rng: Generator) -> Parts:
    """A fuselage, swept wings, a low or high tail, up to four engines."""
    radius, span, root, tip, sweep = draw(
        rng, (0.06, 0.085), (0.85, 1.15), (0.2, 0.28), (0.07, 0.12), (0.05, 0.3)
    )
    fin = rng.uniform(0.16, 0.24)

    def wing(front: float, root: float, tip: float, sweep: float, span: float, y: float) -> Parts:
        half = np.array([[front, 0], [front - sweep, span / 2], [front - sweep - tip, span / 2]])
        back = np.array([[front - root, 0]])
        return prism(np.concatenate([half, back, half[:0:-1] * [1, -1]]), 0.025, "y", (0, y, 0))

    profile = [(0, 0), (0.6 * radius, 0.03), (radius, 0.15), (radius, 0.7), (0.3 * radius, 1), (0, 1)]
    fuselage = moved(turned(lathe(profile), "z", 90), (0.5, 0, 0))
    tail_height = fin if happens(rng, 0.3) else 0.3 * radius
    outline = [(-0.28, 0), (-0.46, fin), (-0.53, fin), (-0.48, 0)]
    parts = [
        fuselage,
        wing(0.14, root, tip, sweep, span, -0.3 * radius),
        wing(-0.36 - 0.3 * tail_height, 0.12, 0.06, 0.08, 0.38 * span, tail_height),
        prism(outline, 0.025, "z", (0, 0.5 * radius, 0)),
    ]
    for z in rng.choice([0.17, 0.28], rng.integers(0, 3), replace=False) * span:
        x, y = 0.1 - sweep * z / (span / 2), -0.3 * radius - 0.05
        parts += [rod((x - 0.12, y, side * z), (x + 0.06, y, side * z), 0.035) for side in (-1, 1)]
    return parts


def bottle(rng: Generator) -> Parts:
    """Slender, with a long thin neck under a cap."""
    height, radius, neck, shoulder = draw(rng, (0.95, 1.1), (0.13, 0.18), (0.28, 0.4), (0.5, 0.65))
    body = shoulder * height
    profile = [
        (0.92 * radius, 0),
        (radius, 0.04),
        (radius, 0.9 * body),
        (neck * radius, body + 0.16),
        (neck * radius, height),
    ]
    cap = cylinder(1.35 * neck * radius, 0.08, (0, height - 0.04, 0))
    return [cylinder(0.9 * radius, 0.01), lathe(profile, smooth=True), cap]


def bowl(rng: Generator) -> Parts:
    """Wide and shallow on a low foot."""
    radius, height, foot = draw(rng, (0.44, 0.5), (0.26, 0.5), (0.15, 0.28))
    outside = [(foot, 0), (foot + 0.02, 0.04), (0.36 + 0.2 * foot, 0.3 * height), (radius, height)]
    inside = [(0, 0.07), (0.7 * foot, 0.08), (0.3 + 0.2 * foot, 0.35 * height), (radius - 0.03, height)]
    return [lathe(outside, smooth=True), lathe(inside, smooth=True)]


def car(rng: Generator) -> Parts:
    """A side profile for the body, a narrower one for the cabin, four wheels."""
    width, hood, roof, wheel = draw(rng, (0.38, 0.44), (0.2, 0.24), (0.34, 0.4), (0.095, 0.115))
    kind = rng.choice(["sedan", "hatchback", "pickup"])
    back, rear = {"sedan": (-0.36, -0.2), "hatchback": (-0.49, -0.4), "pickup": (-0.12, -0.09)}[kind]
    front, screen = draw(rng, (0.2, 0.28), (0.05, 0.12))
    body = [(-0.5, 0.1), (-0.5, hood), (front, hood), (0.47, 0.8 * hood), (0.5, 0.6 * hood), (0.5, 0.1)]
    cabin = [(back, hood), (rear, roof), (screen, roof), (front, hood)]
    wheels = [rod((x, y, z - 0.05), (x, y, z + 0.05), wheel) for x, y, z in corners(0.62, width, wheel)]
    return [prism(body, width, "z"), prism(cabin, 0.85 * width, "z"), wheels]


def cone(rng: Generator) -> Parts:
    """A plain cone or a road cone on its square foot."""
    radius, tip = draw(rng, (0.24, 0.38), (0.0, 0.05))
    plate = rng.uniform(2.2, 2.6) * radius
    foot = box((plate, 0.06, plate))
    return [frustum(radius, tip, 1.0), foot if happens(rng, 0.5) else []]


def cup(rng: Generator) -> Parts:
    """About as tall as wide, with a large ear; sometimes on a saucer."""
    radius, height, taper, ear = draw(rng, (0.26, 0.32), (0.5, 0.72), (0.6, 1.0), (0.22, 0.3))
    foot = taper * radius
    wall = [(foot, 0), (0.4 * foot + 0.6 * radius, 0.4 * height), (radius, height)]
    handle = [(radius + x - 0.06, 0.52 * height + y, 0) for x, y in arc(ear, 0.34 * height, -90, 90)]
    return [
        lathe(wall, smooth=True),
        cylinder(foot, 0.04),
        tube(handle, 0.05),
        lathe([(foot, 0), (1.6 * radius, 0.06)]) if happens(rng, 0.25) else [],
    ]


def flower_pot(rng: Generator) -> Parts:
    """A tapered pot with a heavy rim, filled with soil; a few flowers barely rise above it."""
    radius, height, foot, rim = draw(rng, (0.36, 0.44), (0.55, 0.7), (0.6, 0.75), (0.12, 0.18))
    parts: list[Parts] = [
        frustum(foot * radius, radius, height),
        cylinder(radius + 0.06, rim, (0, height - rim, 0)),
        frustum(radius, 1.1 * radius, 0.06) if happens(rng, 0.5) else [],
    ]
    for x, _, z in around(int(rng.integers(3, 6)), 0.6 * radius, 0, rng.uniform(0, 90)):
        tip = (1.2 * x, height + rng.uniform(0.16, 0.34), 1.2 * z)
        parts += [rod((x, height, z), tip, 0.025), ball((0.1, 0.07, 0.1), tip)]
    return parts


def guitar(rng: Generator) -> Parts:
    """Lies on its back, the neck to the rear."""
    length, hip, waist, shoulder, depth = draw(
        rng, (0.42, 0.46), (0.18, 0.21), (0.085, 0.11), (0.14, 0.17), (0.07, 0.11)
    )
    side = np.array(
        [
            (0, 0),
            (0.7 * hip, 0.02),
            (hip, 0.25 * length),
            (waist, 0.58 * length),
            (shoulder, 0.8 * length),
            (0.7 * shoulder, 0.96 * length),
            (0, length),
        ]
    )
    if happens(rng, 0.35):  # an electric guitar has horns and a thin body
        side[5], depth = (1.05 * shoulder, 1.12 * length), 0.05
    outline = np.concatenate([side, side[-2:0:-1] * [-1, 1]])
    top = depth / 2
    return [
        prism(outline, depth, "y"),
        box((0.055, 0.04, 1 - length), (0, top - 0.03, (1 + length) / 2 - 0.05)),
        box((0.11, 0.04, 0.15), (0, top - 0.03, 0.98)),
        box((0.14, 0.03, 0.04), (0, top, 0.2 * length)),
        [ball(0.025, (x, top, z)) for x in (-0.075, 0.075) for z in (0.93, 0.98, 1.03)],
    ]


def keyboard(rng: Generator) -> Parts:
    """A flat tray with rows of raised keys."""
    width, depth, height = draw(rng, (0.98, 1.0), (0.3, 0.4), (0.03, 0.05))
    rows, columns = 5, int(rng.integers(12, 16))
    pad = happens(rng, 0.6)
    xs = spread(columns, 0.95 * width)
    key = (0.7 * width / columns, 0.06, 0.6 * depth / rows)
    keys = [
        box(key, (x, height, z))
        for z in spread(rows, 0.92 * depth)[1:]
        for column, x in enumerate(xs)
        if not (pad and column == columns - 4)
    ]
    function_row = [box(key, (x, height, 0.4 * depth)) for x in xs[::2]]
    return [box((width, height, depth)), keys, function_row]


def laptop(rng: Generator) -> Parts:
    """Open: a base with keys and a lid that leans back."""
    width, depth, angle = draw(rng, (0.95, 1.05), (0.66, 0.76), (5, 30))
    keys = [
        box((0.06, 0.04, 0.08), (x, 0.05, z))
        for x in spread(10, 0.86 * width)
        for z in spread(4, 0.5 * depth) + 0.15 * depth
    ]
    lid = box((width, 0.95 * depth, 0.04), (0, 0.05, depth / 2))
    return [
        box((width, 0.05, depth)),
        keys,
        box((0.3, 0.02, 0.16), (0, 0.05, -0.33 * depth)),
        turned(lid, "x", angle, (0, 0.05, depth / 2)),
    ]


def monitor(rng: Generator) -> Parts:
    """An upright screen on a neck and a foot."""
    width, ratio, neck, tilt = draw(rng, (0.95, 1.05), (0.55, 0.75), (0.24, 0.36), (-2, 10))
    height = ratio * width
    foot = stretched(cylinder(0.24, 0.04), (1.2, 1, 0.8)) if happens(rng, 0.5) else box((0.5, 0.04, 0.32))
    bezel = prism(
        rectangle(width, height), 0.07, "z", (0, height / 2, -0.03), 0.88 * rectangle(width, height)
    )
    back = pyramid((0.7 * width, 0.6 * height), (0.35 * width, 0.35 * height), 0.12)
    bulge = moved(turned(back, "x", 90), (0, height / 2, 0.02))
    screen = [box((width, height, 0.05)), bezel, bulge if happens(rng, 0.6) else []]
    return [
        foot,
        box((0.12, neck + 0.3 * height, 0.06), (0, 0, 0.05)),
        moved(turned(screen, "x", tilt), (0, neck, 0)),
    ]


def person(rng: Generator) -> Parts:
    """Stands or strides; the arms hang, stretch or rise."""
    girth, stance, stride = draw(rng, (0.9, 1.15), (0.1, 0.2), (-0.2, 0.2))
    hip, shoulder = 0.92, 1.45
    parts = [
        ball((0.11, 0.14, 0.12), (0, 1.68, 0)),
        rod((0, 1.42, 0), (0, 1.6, 0), 0.06),
        stretched(frustum(0.15 * girth, 0.21 * girth, 0.58, (0, 0.9, 0)), (1, 1, 0.6)),
        ball((0.21 * girth, 0.08, 0.13), (0, shoulder, 0)),
    ]
    for side in (-1, 1):
        foot = np.array([side * stance, 0.06, side * stride])
        parts += [
            rod((side * 0.09, hip, 0), foot, 0.1 * girth, 0.06),
            box((0.1, 0.08, 0.26), np.add(foot, (0, -0.06, -0.06))),
        ]
        lift, reach = np.radians(rng.choice([10, 20, 80, 130])), rng.uniform(-0.3, 0.1)
        joint = np.array([side * 0.22 * girth, shoulder, 0])
        elbow = joint + 0.3 * np.array([side * np.sin(lift), -np.cos(lift), reach])
        lift += np.radians(rng.uniform(0, 40))
        hand = elbow + 0.3 * np.array([side * np.sin(lift), -np.cos(lift), 2 * reach])
        parts += [rod(joint, elbow, 0.065, 0.05), rod(elbow, hand, 0.05, 0.04), ball(0.06, hand)]
    return parts


def piano(rng: Generator) -> Parts:
    """A grand with its lid propped open, or an upright; the keys stick out to the front."""
    width = rng.uniform(1.4, 1.55)
    keys = [box((0.6 * width / 14, 0.05, 0.18), (x, 0.72, -0.1)) for x in spread(14, 0.92 * width)]
    if happens(rng, 0.4):
        height, depth = draw(rng, (1.1, 1.35), (0.3, 0.4))
        return [
            box((width, height, depth), (0, 0, depth / 2)),
            box((width, 0.12, 0.4), (0, 0.6, -0.1)),
            moved(keys, (0, 0, -0.08)),
            both_sides(box((0.09, 0.6, 0.09), (width / 2 - 0.06, 0, -0.22))),
            box((width + 0.08, 0.06, depth + 0.08), (0, height, depth / 2)),
        ]
    length, lid = draw(rng, (1.5, 2.0), (30, 42))
    half = width / 2
    bent = [(half, 0), (half, 0.35 * length), (0.55 * half, 0.6 * length), (0.3 * half, 0.9 * length)]
    outline = [*bent, (-0.2 * half, length), (-0.8 * half, length), (-half, 0.9 * length), (-half, 0)]
    body = prism(outline, 0.26, "y", (0, 0.8, 0))
    cover = turned(prism(outline, 0.04, "y", (0, 0.95, 0)), "z", lid, (-half, 0.95, 0))
    legs = [(-0.8 * half, 0.2), (0.8 * half, 0.2), (-0.3 * half, 0.85 * length)]
    return [
        body,
        cover,
        rod((0.6 * half, 0.9, 0.4), (0.45 * half, 0.9 + 1.4 * half * np.tan(np.radians(lid)), 0.4), 0.025),
        box((width, 0.12, 0.26), (0, 0.62, -0.1)),
        keys,
        [frustum(0.05, 0.08, 0.7, (x, 0, z)) for x, z in legs],
    ]


def plant(rng: Generator) -> Parts:
    """A small pot under much larger foliage: arching leaves, upright blades or a bushy crown."""
    radius, height = draw(rng, (0.12, 0.16), (0.2, 0.28))
    pot = frustum(0.75 * radius, radius, height)
    kind = rng.choice(["palm", "blades", "bush"])
    if kind == "bush":
        trunk = rng.uniform(0.1, 0.3)
        centres = np.add(rng.normal(0, 0.14, (14, 3)), (0, height + trunk + 0.28, 0))
        return [
            pot,
            rod((0, height, 0), (0, height + trunk + 0.2, 0), 0.035),
            [ball(rng.uniform(0.07, 0.12), centre) for centre in centres],
        ]
    parts = [pot]
    base = height
    if kind == "palm" and happens(rng, 0.5):
        base += rng.uniform(0.2, 0.4)
        parts.append(rod((0, height, 0), (0, base, 0), 0.04))
    t = np.linspace(0, 1, 7)
    leaves = int(rng.integers(9, 14))
    for leaf in range(leaves):
        turn = 2 * np.pi * (leaf + rng.uniform(-0.3, 0.3)) / leaves
        out, up, droop = draw(rng, (0.35, 0.55), (0.5, 0.8), (0.35, 0.7))
        if kind == "blades":
            out, droop = 0.5 * out, 0.0
        along = np.array([np.cos(turn), 0, np.sin(turn)])
        path = np.outer(out * t, along) + np.outer(up * t - droop * t**2, [0, 1, 0]) + [0, base, 0]
        parts.append(ribbon(path, 0.12 * np.sin(np.pi * (0.1 + 0.88 * t)), np.cross(along, [0, 1, 0])))
    return parts


def radio(rng: Generator) -> Parts:
    """A portable set: two round speakers in front, a carrying handle and a long aerial on top."""
    width, height, depth, aerial = draw(rng, (0.9, 1.0), (0.42, 0.55), (0.2, 0.28), (0.35, 0.5))
    front = -depth / 2
    speaker = rng.uniform(0.34, 0.4) * height
    xs = (-0.3 * width, 0.3 * width) if happens(rng, 0.7) else (-0.25 * width,)
    handle = [(x, height + y, 0) for x, y in arc(0.38 * width, rng.uniform(0.12, 0.2), 0, 180)]
    foot = (-0.42 * width, height, 0.3 * depth)
    tip = (foot[0] + rng.uniform(0.1, 0.5), height + aerial, foot[2])
    speakers = [turned(frustum(speaker, 0.85 * speaker, 0.07), "x", -90)]
    return [
        box((width, height, depth)),
        [moved(speakers, (x, 0.48 * height, front)) for x in xs],
        [ball(0.05, (x, 0.85 * height, front - 0.02)) for x in (-0.05 * width, 0.05 * width)],
        box((0.22 * width, 0.2 * height, 0.06), (0, 0.3 * height, front)),
        tube(handle, 0.03) if happens(rng, 0.7) else [],
        rod(foot, tip, 0.025),
        ball(0.04, tip),
    ]


def vase(rng: Generator) -> Parts:
    """A wide belly, a waist, and a mouth that flares."""
    height, belly, low, waist, mouth, foot = draw(
        rng, (0.8, 1.0), (0.24, 0.36), (0.28, 0.55), (0.08, 0.16), (0.18, 0.28), (0.1, 0.2)
    )
    profile = [(foot, 0), (belly, low * height), (waist, 0.8 * height), (mouth, height)]
    ear = [(waist + x - 0.02, 0.68 * height + y, 0) for x, y in arc(0.17, 0.16, -80, 90)]
    return [
        cylinder(foot, 0.03),
        lathe(profile, smooth=True),
        both_sides(tube(ear, 0.03)) if happens(rng, 0.3) else [],
    ]


def xbox(rng: Generator) -> Parts:
    """A game console, flat or upright, with a seam around it, and the controller in front."""
    width, height, depth, pad = draw(rng, (0.85, 0.95), (0.24, 0.32), (0.6, 0.75), (0.2, 0.25))
    console = [
        box((width, 0.42 * height, depth)),
        box((0.88 * width, 0.16 * height, 0.88 * depth), (0, 0.42 * height, 0)),
        box((width, 0.42 * height, depth), (0, 0.58 * height, 0)),
        cylinder(0.08, 0.05, (0.34 * width, height, -0.32 * depth)),
    ]
    if happens(rng, 0.5):
        console = moved(turned(console, "z", 90), (height / 2, width / 2, 0))
    grip = [
        rod((0.75 * pad, 0.1, 0.05), (pad, 0.06, -0.8 * pad), 0.09, 0.05),
        ball(0.05, (0.45 * pad, 0.18, 0)),
    ]
    controller = [ball((pad, 0.09, 0.13), (0, 0.1, 0)), both_sides(grip)]
    return [console, moved(controller, (rng.uniform(-0.1, 0.1), 0, -depth / 2 - rng.uniform(0.3, 0.4)))]
