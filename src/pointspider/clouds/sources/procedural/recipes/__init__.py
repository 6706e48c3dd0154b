"""Forty recipes: one short function per class of ModelNet40, from random proportions to parts.

A recipe draws an object's proportions and structure and returns parts in the frame of `shapes`: y up, front
towards -z (the nose of a vehicle towards +x), the best side for the reference camera at +x, +y and -z. Small
details are larger than in reality, because an object is drawn as 1024 spheres with radii of 1/40 of its size.
"""

from collections.abc import Callable

from numpy.random import Generator

from pointspider.clouds.sources.procedural.recipes import fittings, furniture, things
from pointspider.clouds.sources.procedural.shapes import Parts

#: Class name → recipe.
RECIPES: dict[str, Callable[[Generator], Parts]] = {
    "airplane": things.airplane,
    "bathtub": fittings.bathtub,
    "bed": furniture.bed,
    "bench": furniture.bench,
    "bookshelf": furniture.bookshelf,
    "bottle": things.bottle,
    "bowl": things.bowl,
    "car": things.car,
    "chair": furniture.chair,
    "cone": things.cone,
    "cup": things.cup,
    "curtain": fittings.curtain,
    "desk": furniture.desk,
    "door": fittings.door,
    "dresser": furniture.dresser,
    "flower_pot": things.flower_pot,
    "glass_box": furniture.glass_box,
    "guitar": things.guitar,
    "keyboard": things.keyboard,
    "lamp": furniture.lamp,
    "laptop": things.laptop,
    "mantel": fittings.mantel,
    "monitor": things.monitor,
    "night_stand": furniture.night_stand,
    "person": things.person,
    "piano": things.piano,
    "plant": things.plant,
    "radio": things.radio,
    "range_hood": fittings.range_hood,
    "sink": fittings.sink,
    "sofa": furniture.sofa,
    "stairs": fittings.stairs,
    "stool": furniture.stool,
    "table": furniture.table,
    "tent": fittings.tent,
    "toilet": fittings.toilet,
    "tv_stand": furniture.tv_stand,
    "vase": things.vase,
    "wardrobe": furniture.wardrobe,
    "xbox": things.xbox,
}
