"""Pictures with exact depth, rendered from seeded procedural scenes by Blender's Cycles.

    python -m streamdepth.training.scenes --out ROOT --pictures 2500 --seed 0

`shapes`, `looks`, `stage` and the modules of things and kinds describe scenes with numpy alone; `blender` and
`materials` turn a description into pictures; `photo` is the camera, `store` the files, `plan` which picture comes when.
"""
