"""What hands results to a page: the newest item, packed pictures, and recordings that are started and stopped."""
