"""Pictures of depth for people: pure functions without files, windows or network.

- `overlay.render` draws one frame as RGB, `yuv.render_yuv` does the same in the planes of a video.
- `colors` maps depth to colors, `legend` draws the bar with meters, `upsampling` enlarges depth along picture edges.
- `plots` draws curves.
"""
