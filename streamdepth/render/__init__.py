"""Pictures made of depth, by pure functions without files and windows."""
