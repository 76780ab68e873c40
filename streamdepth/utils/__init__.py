"""Small helpers without a topic of their own: addresses, names with numbers, retries and remote files."""
