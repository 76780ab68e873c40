"""Pictures of depth for people: pure functions without files, windows or network.

- `overlay.render` draws one frame as RGB, `yuv.render_yuv` does the same in the planes of a video.
- `colors` maps depth to colors, `legend` draws the bar with meters, `upsampling` enlarges depth along picture edges.
- `stereo` draws pictures for two eyes from the disparity that `disparity` makes of depth.
- `plots` draws curves.
"""
