"""The page of `streamdepth serve`: what is shown, who may see it, and what may be changed from it."""
