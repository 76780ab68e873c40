"""Accuracy of depth: errors against measured depth, tables and contact sheets."""
