"""The web page of `streamdepth serve`: its content, access rules and controls."""
