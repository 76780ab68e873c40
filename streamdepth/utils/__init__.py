"""Small helpers without a topic of their own: redaction, retries, file names with numbers, and remote files."""
