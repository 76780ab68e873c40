"""Pictures with exact depth, rendered from seeded procedural scenes by Blender's Cycles.

    python -m streamdepth.training.scenes --out ROOT --pictures 2500 --seed 0

`shapes`, `materials`, `scene` and the modules of objects and kinds of scenes describe scenes with numpy alone.
`blender` and `blender_materials` render a description, `camera_effects` makes a photograph of it, `dataset_writer`
writes the files, and `plan` says which picture comes when. This folder is not
part of the installed package: run it from a clone.
"""
