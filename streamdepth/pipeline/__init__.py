"""The loop: sources are read, depth is estimated and steadied, and sinks are fed, each on a thread of its own."""
