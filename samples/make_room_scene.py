"""The room itself, 5.4 x 4.6 x 2.6 m (x east, y north, z up), its furniture in place and the light of each shot."""

from __future__ import annotations

import math

import bpy
from make_room_furniture import (
    bookshelf,
    chair,
    coffee_table,
    dining_table,
    floor_lamp,
    pendant,
    sideboard,
    sofa,
    sofa_cushions,
)
from make_room_materials import bricks, carpet, cloth, floorboards, foliage, paint, plain, wood
from make_room_motion import BALL_RADIUS
from make_room_shapes import Point, add_object, box, cylinder, group, sheet, soft, tube
from make_room_things import OAK, WALNUT, WHITE, ball, picture, potted_plant

WIDE, DEEP, HIGH = 5.4, 4.6, 2.6
WINDOW_Y, WINDOW_Z = (2.15, 3.75), (0.80, 2.20)
SEA = ((0.02, 0.05, 0.10), (0.10, 0.22, 0.28), (0.52, 0.48, 0.38), (0.55, 0.28, 0.10), (0.62, 0.55, 0.42))
CLAY = ((0.25, 0.07, 0.03), (0.55, 0.35, 0.2), (0.66, 0.6, 0.5), (0.10, 0.12, 0.10), (0.45, 0.18, 0.08))


def build_room(shot: int) -> bpy.types.Object:
    """Builds everything as it is in `shot` (1 = day, 2 = evening) and gives the ball, which the caller moves."""
    evening = shot == 2
    shell()
    window()
    door()
    furniture(evening)
    small_things()
    if evening:
        evening_light()
    else:
        daylight()
    return ball(BALL_RADIUS)


def shell() -> None:
    walls, accent, ceiling = paint((0.62, 0.58, 0.51)), paint((0.25, 0.31, 0.27)), paint((0.72, 0.71, 0.68))
    box((WIDE, DEEP, 0.1), (WIDE / 2, DEEP / 2, -0.05), floorboards(), bevel=0)
    box((WIDE, DEEP, 0.1), (WIDE / 2, DEEP / 2, HIGH + 0.05), ceiling, bevel=0)
    box((WIDE, 0.1, HIGH), (WIDE / 2, DEEP + 0.05, HIGH / 2), accent, bevel=0)
    box((WIDE, 0.1, HIGH), (WIDE / 2, -0.05, HIGH / 2), walls, bevel=0)
    box((0.1, DEEP, HIGH), (WIDE + 0.05, DEEP / 2, HIGH / 2), walls, bevel=0)
    (south, north), (low, high) = WINDOW_Y, WINDOW_Z
    for start, end, foot, top in (
        (0, south, 0, HIGH),
        (north, DEEP, 0, HIGH),
        (south, north, 0, low),
        (south, north, high, HIGH),
    ):
        box((0.2, end - start, top - foot), (-0.1, (start + end) / 2, (foot + top) / 2), walls, bevel=0)
    skirting = plain(WHITE, 0.4)
    box((WIDE, 0.015, 0.09), (WIDE / 2, DEEP - 0.0075, 0.045), skirting)
    box((WIDE, 0.015, 0.09), (WIDE / 2, 0.0075, 0.045), skirting)
    box((0.015, DEEP, 0.09), (0.0075, DEEP / 2, 0.045), skirting)
    box((0.015, 3.25, 0.09), (WIDE - 0.0075, 1.625, 0.045), skirting)


def window() -> None:
    white = plain((0.72, 0.71, 0.69), 0.35)
    (south, north), (low, high) = WINDOW_Y, WINDOW_Z
    middle, center = (south + north) / 2, (low + high) / 2
    for y in (south + 0.03, middle, north - 0.03):
        box((0.06, 0.06, high - low), (-0.12, y, center), white)
    for z in (low + 0.03, center + 0.25, high - 0.03):
        box((0.06, north - south, 0.055), (-0.12, middle, z), white)
    box((0.28, north - south + 0.12, 0.03), (-0.02, middle, low - 0.01), white)
    rod = plain((0.05, 0.045, 0.04), 0.4, 1.0)
    tube([(0.1, south - 0.45, 2.36), (0.1, north + 0.42, 2.36)], 0.013, rod)
    curtain(south - 0.40, 0.48)
    curtain(north - 0.10, 0.48)
    radiator(middle)
    street()


def curtain(start: float, width: float) -> None:
    """Gathered linen from the rod to the floor."""

    def surface(u: float, v: float) -> Point:
        fold = math.sin(2 * math.pi * 6 * u + 0.7 * math.sin(9 * u)) * (0.032 + 0.018 * v)
        return 0.10 + fold, start + width * u + 0.02 * math.sin(12 * u) * v, 2.37 - 2.33 * v

    sheet(surface, (110, 30), cloth((0.50, 0.43, 0.33), 240, 0.2), thickness=0.003)


def radiator(middle: float) -> None:
    white = plain((0.70, 0.69, 0.66), 0.3)
    for i in range(14):
        box((0.07, 0.062, 0.5), (0.09, middle - 0.5 + 0.077 * i, 0.38), white, bevel=0.02)
    for z in (0.18, 0.58):
        tube([(0.09, middle - 0.55, z), (0.09, middle + 0.55, z)], 0.016, white)


def street() -> None:
    """Builds the view through the window: a brick house, a hedge and a tree before the sky."""
    box((3.0, 24, 7), (-23.5, 14.5, -0.3), bricks(), bevel=0)
    pane, leaves = plain((0.03, 0.04, 0.05), 0.1), foliage((0.07, 0.15, 0.03))
    for y in range(5, 26, 3):
        box((0.1, 1.2, 1.6), (-22.0, y, 1.5), pane)
    box((40, 80, 0.1), (-21, 5, -1.3), plain((0.16, 0.2, 0.08), 0.95), bevel=0)
    tube([(-7, 8.6, -1.3), (-7, 8.5, 2.2)], 0.14, plain((0.08, 0.05, 0.03), 0.9))
    for i in range(40):
        angle, ring = i * 2.4, 0.25 * math.sqrt(i)
        soft(
            (0.9, 0.9, 0.7),
            (-7 + ring * math.cos(angle), 8.5 + ring * math.sin(angle), 2.6 + 0.9 * math.sin(i * 1.7)),
            leaves,
            edge=(1.2, 1.2, 0),
        )


def door() -> None:
    """In the east wall, shut."""
    white, brass = plain((0.68, 0.66, 0.62), 0.35), plain((0.5, 0.4, 0.25), 0.3, 1.0)
    x, y = WIDE - 0.02, 3.75
    box((0.04, 0.86, 2.02), (x, y, 1.01), white, bevel=0.004)
    for z, high in ((0.52, 0.72), (1.42, 0.88)):
        for side in (-1, 1):
            box((0.02, 0.28, high), (x - 0.015, y + side * 0.19, z), white, bevel=0.009)
    for side in (-1, 1):
        box((0.07, 0.08, 2.1), (x, y + side * 0.47, 1.05), white)
    box((0.07, 1.02, 0.08), (x, y, 2.06), white)
    tube([(x - 0.02, y - 0.36, 1.03), (x - 0.075, y - 0.36, 1.03), (x - 0.075, y - 0.24, 1.03)], 0.01, brass)
    box((0.012, 0.08, 0.12), (WIDE - 0.006, 3.08, 1.12), plain(WHITE, 0.3))


def furniture(evening: bool) -> None:
    sofa((2.0, 4.05, 0), 0)
    sofa_cushions((2.0, 4.05, 0), 0)
    rug((2.15, 3.0, 0), 3)
    coffee_table((2.1, 2.85, 0.012), -4)
    floor_lamp((3.33, 4.22, 0), 5.0 if evening else 0.0)
    bookshelf((4.12, 4.42, 0), 0)
    potted_plant((0.52, 4.12, 0), 3)
    potted_plant((5.02, 2.75, 0), 8, 0.95)
    dining_table((4.3, 1.42, 0), 90)
    for x, y, turn in ((3.68, 1.16, 84), (3.62, 1.86, 102), (4.95, 1.1, -95), (4.93, 1.78, -86)):
        chair((x, y, 0), turn)
    chair((0.55, 1.2, 0), 65)
    pendant((4.3, 1.42, HIGH), 60.0 if evening else 0.0)
    sideboard((1.7, 0.24, 0), 180)
    pictures()


def rug(at: Point, turn: float) -> None:
    fringe = cloth((0.5, 0.44, 0.34), 300)
    parts = [box((2.5, 1.7, 0.014), (0, 0, 0.007), carpet(), bevel=0.006)]
    parts += [
        tube(
            [
                (side * 1.24, -0.84 + 0.028 * i, 0.006),
                (side * 1.31, -0.84 + 0.028 * i + 0.006 * math.sin(i * 2.3), 0.003),
            ],
            0.003,
            fringe,
        )
        for side in (-1, 1)
        for i in range(61)
    ]
    group("rug", parts, at, turn)


def pictures() -> None:
    north, east, south = DEEP - 0.001, WIDE - 0.001, 0.001
    picture((1.52, north, 1.62), 0, (0.78, 0.58), 1, SEA)
    picture((2.22, north, 1.76), 0, (0.36, 0.46), 2, CLAY)
    picture((2.66, north, 1.55), 0, (0.30, 0.38), 3, SEA[::-1])
    picture((east, 1.42, 1.6), -90, (1.05, 0.7), 4, CLAY[::-1])
    picture((0.4, south, 1.6), 180, (0.5, 0.65), 6, SEA)


def small_things() -> None:
    """Builds the clutter of a lived-in room: blocks, slippers, a magazine, a socket, a clock."""
    colors = ((0.55, 0.06, 0.04), (0.05, 0.20, 0.42), (0.62, 0.42, 0.04), (0.08, 0.28, 0.10))
    for i, (x, y, turn) in enumerate(((1.05, 1.75, 20), (1.22, 1.62, 50), (0.95, 1.98, 5), (1.3, 1.83, 70))):
        box((0.06, 0.06, 0.06), (x, y, 0.03), plain(colors[i], 0.5), turn=(0, 0, turn))
    box((0.06, 0.06, 0.06), (1.06, 1.75, 0.09), plain(colors[2], 0.5), turn=(0, 0, 38))
    box((0.22, 0.29, 0.006), (2.95, 2.45, 0.017), plain((0.55, 0.5, 0.42), 0.3), bevel=0.001, turn=(0, 0, 24))
    for x, turn in ((3.62, 12), (3.76, -6)):
        soft((0.1, 0.27, 0.06), (x, 3.55, 0.03), cloth((0.18, 0.10, 0.07)), edge=(0.6, 0.7, 0), turn=(0, 0, turn))
    clock = [
        cylinder(0.16, 0.03, (0, 0, 0), wood(*WALNUT)),
        cylinder(0.145, 0.004, (0, 0, 0.029), plain((0.7, 0.68, 0.62), 0.5)),
    ]
    clock += [
        box((0.012, length, 0.004), (x, y, 0.036), plain((0.02, 0.02, 0.02)), bevel=0, turn=(0, 0, angle))
        for length, x, y, angle in ((0.09, 0.0, 0.04, 0), (0.07, 0.03, 0.0, -80))
    ]
    group("clock", clock, (3.2, DEEP, 1.95)).rotation_euler = (math.radians(90), 0, 0)
    box((0.08, 0.012, 0.08), (3.42, DEEP - 0.006, 0.28), plain(WHITE, 0.3))
    box((0.4, 0.3, 0.02), (0.33, 0.9, 0.0101), wood(*OAK))


def lamp(
    kind: str, at: Point, energy: float, color: Point, *, turn: Point = (0, 0, 0), **settings: float | str | bool
) -> None:
    data = bpy.data.lights.new("lamp", kind)
    data.energy, data.color = energy, color
    for key, value in settings.items():
        setattr(data, key, value)
    item = add_object("lamp", data, at, turn)
    item.visible_camera = False


def sky(low: Point, high: Point, ambient: Point) -> None:
    """A gradient by height for the eye; to everything else, light that has bounced often enough to be even."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.cycles.sampling_method = "NONE"
    world.light_settings.distance = 0.9
    bpy.context.scene.world = world
    nodes, links = world.node_tree.nodes, world.node_tree.links
    kinds = ("TexCoord", "SeparateXYZ", "ValToRGB", "LightPath", "Mix")
    place, split, ramp, path, mix = (nodes.new(f"ShaderNode{kind}") for kind in kinds)
    links.new(place.outputs["Generated"], split.inputs[0])
    links.new(split.outputs["Z"], ramp.inputs[0])
    ramp.color_ramp.elements[0].color, ramp.color_ramp.elements[1].color = (*low, 1), (*high, 1)
    ramp.color_ramp.elements[1].position = 0.6
    mix.data_type = "RGBA"
    mix.inputs[6].default_value = (*ambient, 1)
    links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
    links.new(ramp.outputs[0], mix.inputs[7])
    links.new(mix.outputs[2], nodes["Background"].inputs["Color"])


def window_light(energy: float, color: Point) -> None:
    """Skylight as an area light in the window's opening, far less noisy than the sky itself."""
    (south, north), (low, high) = WINDOW_Y, WINDOW_Z
    lamp(
        "AREA",
        (-0.03, (south + north) / 2, (low + high) / 2),
        energy,
        color,
        turn=(0, -90, 0),
        shape="RECTANGLE",
        size=high - low,
        size_y=north - south,
    )


def daylight() -> None:
    sky((1.9, 2.1, 2.5), (0.6, 1.1, 2.2), (0.36, 0.35, 0.34))
    window_light(135, (0.80, 0.90, 1.0))
    lamp("SUN", (0, 0, 5), 20.0, (1.0, 0.86, 0.68), turn=(0, -58, -7), angle=math.radians(1.2))


def evening_light() -> None:
    sky((0.28, 0.18, 0.15), (0.03, 0.05, 0.12), (0.20, 0.15, 0.11))
    window_light(16, (0.45, 0.6, 1.0))
    warm = (1.0, 0.66, 0.38)
    lamp("POINT", (4.3, 1.42, HIGH - 0.93), 95, warm, shadow_soft_size=0.07)
    lamp("POINT", (3.33, 4.22, 1.46), 45, warm, shadow_soft_size=0.10)
